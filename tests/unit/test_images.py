"""Images to inputs, outputs to classes; held against arithmetic done by hand on small arrays."""

from __future__ import annotations

import os
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from archspec.diagnostics import Failure
from archspec.images import UnreadableSample, load_image, preprocess_of, read_image, top_classes
from archspec.ir.document import Preprocess


def saved(path: Path, pixels: Any, mode: str | None = None, **options: Any) -> Path:
    image = Image.fromarray(np.asarray(pixels, np.uint8))
    (image.convert(mode) if mode else image).save(path, **options)
    return path


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """2x2: red, green / blue, white."""
    return saved(tmp_path / "c.png", [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]])


def test_rgb_is_channels_first_and_normalised_per_channel(colours: Path) -> None:
    steps = Preprocess(mean=(0.5, 0.25, 0.0), std=(0.5, 1.0, 2.0))
    x = load_image(colours, steps, (3, 2, 2))
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[0], (np.array([[1, 0], [0, 1]]) - 0.5) / 0.5, rtol=1e-6)
    np.testing.assert_allclose(x[1], (np.array([[0, 1], [0, 1]]) - 0.25), rtol=1e-6)
    np.testing.assert_allclose(x[2], np.array([[0, 0], [1, 1]]) / 2, rtol=1e-6)


def test_bgr_turns_the_channels_round_before_the_mean(colours: Path) -> None:
    x = load_image(
        colours, Preprocess(channels="bgr", scale=1.0, mean=(104.0, 117.0, 123.0)), (3, 2, 2)
    )
    np.testing.assert_allclose(x[:, 0, 0], [0 - 104, 0 - 117, 255 - 123])  # red: blue, green, red
    np.testing.assert_allclose(x[:, 1, 0], [255 - 104, 0 - 117, 0 - 123])  # blue


def test_gray_and_invert(colours: Path) -> None:
    x = load_image(colours, Preprocess(channels="gray", invert=True), (1, 2, 2))
    # ITU-R 601 luma of red, green, blue, as Pillow documents for mode L
    expected = 1 - np.round([[0.299 * 255, 0.587 * 255], [0.114 * 255, 255]]) / 255
    np.testing.assert_allclose(x[0], expected, atol=1.01 / 255)


def test_the_shorter_side_is_resized_then_the_centre_cropped(tmp_path: Path) -> None:
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 200  # the middle third
    x = load_image(saved(tmp_path / "w.png", pixels), Preprocess(resize=10), (3, 10, 10))
    np.testing.assert_allclose(x, 200 / 255, rtol=1e-6)


def test_an_exact_resize_ignores_the_aspect(tmp_path: Path) -> None:
    pixels = np.full((5, 40, 3), 51, np.uint8)
    x = load_image(saved(tmp_path / "w.png", pixels), Preprocess(resize=(8, 6)), (3, 8, 6))
    np.testing.assert_allclose(x, 0.2, rtol=1e-6)


def test_without_a_crop_the_whole_image_is_fitted(tmp_path: Path) -> None:
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, :4] = 255
    x = load_image(
        saved(tmp_path / "w.png", pixels),
        Preprocess(crop="none", interpolation="nearest"),
        (3, 2, 2),
    )
    np.testing.assert_allclose(x[0], [[1, 0], [1, 0]])


@pytest.mark.parametrize("invert", [False, True])
def test_around_a_image_smaller_than_the_input_is_zero(tmp_path: Path, invert: bool) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (2, 4, 3))
    steps = Preprocess(scale=1.0, invert=invert)
    x = load_image(saved(tmp_path / "s.png", pixels), steps, (3, 4, 3))
    expected = (255 - pixels if invert else pixels).transpose(2, 0, 1)
    np.testing.assert_array_equal(x[:, 1:3], expected[..., :3])
    assert not x[:, [0, 3]].any()


@pytest.mark.parametrize("kind", ["png", "tif", "pgm"])
def test_of_16_bits_the_upper_8_are_read(tmp_path: Path, kind: str) -> None:
    values = np.linspace(0, 65535, 64).round().astype(np.uint16).reshape(8, 8)
    path = tmp_path / f"deep.{kind}"
    if kind == "pgm":  # which Pillow opens in 32 bits, as earlier ones do a PNG
        path.write_bytes(b"P5 8 8 65535\n" + values.astype(">u2").tobytes())
    else:
        Image.fromarray(values).save(path)
    grey = load_image(path, Preprocess(channels="gray", scale=1.0), (1, 8, 8))
    np.testing.assert_array_equal(grey[0], values // 256)
    np.testing.assert_array_equal(
        load_image(path, Preprocess(scale=1.0), (3, 8, 8)), np.repeat(grey, 3, 0)
    )


def test_of_16_bits_the_order_of_bytes_and_what_is_transparent_count(tmp_path: Path) -> None:
    values = np.array([[0x1234, 0x3412], [0x1235, 0x1233]], np.uint16)
    Image.frombytes("I;16B", (2, 2), values.astype(">u2").tobytes()).save(tmp_path / "big.tif")
    Image.fromarray(values).save(tmp_path / "clear.png", transparency=0x1234)
    steps = Preprocess(channels="gray", scale=1.0)
    assert load_image(tmp_path / "big.tif", steps, (1, 2, 2)).ravel().tolist() == [
        0x12,
        0x34,
        0x12,
        0x12,
    ]
    assert load_image(tmp_path / "clear.png", steps, (1, 2, 2)).ravel().tolist() == [
        255,
        0x34,
        0x12,
        0x12,
    ]


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_values_of_no_known_range_are_refused(tmp_path: Path, kind: Any) -> None:
    Image.fromarray(np.eye(4, dtype=kind)).save(tmp_path / "x.tif")
    with pytest.raises(
        UnreadableSample, match=r"cannot read .*x\.tif`: its values have 32 bits; .* 8 or 16"
    ):
        load_image(tmp_path / "x.tif", Preprocess(), (3, 4, 4))


def test_a_cameras_orientation_is_followed(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 50, 100], [150, 200, 250]], np.uint8))
    for orientation in range(10):
        exif = Image.Exif()
        exif[0x0112] = orientation
        image.save(tmp_path / "o.png", exif=exif)
        upright = ImageOps.exif_transpose(Image.open(tmp_path / "o.png"))
        found = read_image(tmp_path / "o.png", Preprocess(channels="gray"))
        assert np.asarray(found).tolist() == np.asarray(upright).tolist()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_what_else_an_exif_says_may_be_wrong(kind: str, recwarn: pytest.WarningsRecorder) -> None:
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 1, "a maker", 72.0
    file, said = BytesIO(), exif.tobytes().removeprefix(b"Exif\0\0")
    Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(
        file, kind, exif=exif, lossless=True
    )
    sound = read_image(file.getvalue(), Preprocess())
    ways = [np.asarray(way) for way in (sound, *map(sound.transpose, Image.Transpose))]
    place = file.getvalue().index(said)
    for _ in range(2000):
        damaged = bytearray(file.getvalue())
        for at in rng.integers(8, len(said), 2):
            damaged[place + at] = rng.integers(256)
        found = np.asarray(read_image(bytes(damaged), Preprocess()))
        assert any(np.array_equal(found, way) for way in ways)
    assert not recwarn.list


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_a_file_that_is_no_image_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(Failure, match=r"cannot read .*x\.png"):
        load_image(path, Preprocess(), (3, 2, 2))


@pytest.mark.parametrize(
    "error",
    [RuntimeError, NotImplementedError, AttributeError, ZeroDivisionError, struct.error, KeyError],
)
def test_whatever_a_decoder_raises_makes_an_unreadable_sample(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(*_: Any) -> None:
        raise error("inside")

    content = BytesIO()
    Image.new("RGB", (8, 8)).save(content, "PNG")
    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(
        UnreadableSample, match="cannot read `it`: not a readable image, or damaged"
    ):
        read_image(content.getvalue(), Preprocess(), "it")


def test_an_image_that_no_memory_holds_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(UnreadableSample, match="too large"):
        read_image(b"", Preprocess())


@pytest.mark.parametrize("kind", ["DDS", "EPS", "ICO", "PCX", "PDF", "SGI", "SPIDER", "TGA"])
def test_formats_that_nobody_asked_for_are_not_opened(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def start(*_: Any, **__: Any) -> None:
        raise AssertionError("Ghostscript was called")

    monkeypatch.setattr(subprocess, "Popen", start)
    content = BytesIO()
    Image.new("F" if kind == "SPIDER" else "RGB", (16, 16)).save(content, kind)
    with pytest.raises(UnreadableSample, match="known formats are .*JPEG"):
        read_image(content.getvalue(), Preprocess())


@pytest.mark.parametrize(
    "kind", ["AVIF", "BMP", "DIB", "GIF", "JPEG", "MPO", "PNG", "PPM", "TIFF", "WEBP"]
)
def test_the_known_formats_are_read_by_their_content(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "image.png"
    Image.new("RGB", (16, 16), (255, 0, 0)).save(path, kind)
    red, green, _ = np.asarray(read_image(path, Preprocess()))[8, 8]
    assert red > 240
    assert green < 15


def test_what_libtiff_thinks_of_a_file_is_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    content = BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    Image.fromarray(noise).save(content, "TIFF", compression="tiff_lzw")
    damaged = bytearray(content.getvalue())
    damaged[200:400] = bytes(range(200))
    with suppress(OSError):
        Image.open(BytesIO(damaged)).load()
    assert "table" in capfd.readouterr().err, "libtiff says nothing of this file"
    with suppress(UnreadableSample):
        read_image(bytes(damaged), Preprocess())
    os.write(2, b"what else is printed")
    assert capfd.readouterr().err == "what else is printed"


def test_a_cut_off_image_is_a_clear_error(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3))
    path = saved(tmp_path / "x.png", noise)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(Failure, match="cannot read"):
        load_image(path, Preprocess(), (3, 64, 64))


def test_a_file_its_bytes_and_its_pixels_are_one_image(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    path, steps = (
        saved(tmp_path / "n.png", pixels),
        Preprocess(resize=16, channels="bgr", mean=(0.5,)),
    )
    expected = load_image(path, steps, (3, 12, 12))
    np.testing.assert_array_equal(load_image(path.read_bytes(), steps, (3, 12, 12)), expected)
    np.testing.assert_array_equal(load_image(pixels, steps, (3, 12, 12)), expected)
    assert not np.array_equal(load_image(pixels[:, ::-1], steps, (3, 12, 12)), expected)


def test_what_is_no_image_is_called_by_its_name() -> None:
    for picture in (b"no image", np.zeros((2, 2, 7), np.uint8), np.zeros((0, 2), np.uint8)):
        with pytest.raises(UnreadableSample, match="cannot read `number 7`"):
            read_image(picture, Preprocess(), "number 7")


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="no such file"):
        load_image(tmp_path / "gone.png", Preprocess(), (3, 2, 2))


def test_a_network_that_takes_no_image_is_refused(colours: Path) -> None:
    with pytest.raises(Failure, match="takes 12x16"):
        load_image(colours, Preprocess(), (12, 16))
    with pytest.raises(Failure, match="rgb image has 3 channels"):
        load_image(colours, Preprocess(), (1, 2, 2))


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "b.png", np.zeros((40, 40, 3)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(Failure, match="too large"):
        load_image(path, Preprocess(), (3, 2, 2))


def test_what_a_spec_does_not_state_has_plain_defaults() -> None:
    assert preprocess_of(None, (1, 28, 28)).channels == "gray"
    assert preprocess_of(None, (3, 64, 96)).resize == 64
    assert preprocess_of(Preprocess(resize=(8, 6)), (3, 8, 6)).resize == (8, 6)


def test_softmax_scores_are_sorted_and_sum_to_one() -> None:
    logits = np.array([1.0, 3.0, 2.0], np.float32)
    found = top_classes(logits, "cross_entropy", ["a", "b", "c"], 3)
    assert [s.label for s in found] == ["b", "c", "a"]
    expected = np.exp([3.0, 2.0, 1.0]) / np.exp([3.0, 2.0, 1.0]).sum()
    np.testing.assert_allclose([s.probability for s in found], expected, rtol=1e-12)


def test_one_logit_stands_for_two_classes() -> None:
    found = top_classes(np.array([2.0], np.float32), "binary_cross_entropy", ["no", "yes"], 2)
    assert [s.label for s in found] == ["yes", "no"]
    assert found[0].probability == pytest.approx(1 / (1 + np.exp(-2.0)))
    assert sum(s.probability for s in found) == pytest.approx(1)


def test_labels_have_to_match_the_classes() -> None:
    with pytest.raises(Failure, match="2 labels for 3 classes"):
        top_classes(np.zeros(3, np.float32), "cross_entropy", ["a", "b"], 1)


def test_threads_that_read_tiffs_put_stderr_back(tmp_path: Path) -> None:
    """Each redirects file descriptor 2; the later one must not take /dev/null for stderr."""
    Image.new("RGB", (64, 64)).save(tmp_path / "a.tiff")
    before = os.fstat(2)
    preprocess = Preprocess()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: read_image(tmp_path / "a.tiff", preprocess), range(40)))
    assert os.path.samestat(os.fstat(2), before)

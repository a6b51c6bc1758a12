"""Training as the shared loop sees it: what is to be done, and who does it on a backend.

>>> import archspec
>>> from archspec.ir.recipe import Recipe
>>> spec = archspec.load("lenet5")
>>> recipe = Recipe(weight_decay=0.1, no_decay=("bias",), lr_multipliers={"output.*": 10.0})
>>> groups = param_groups(recipe, spec.graph)
>>> groups["c3.conv.weight"]
ParamGroup(lr_multiplier=1.0, weight_decay=0.1)
>>> groups["output.bias"]
ParamGroup(lr_multiplier=10.0, weight_decay=0.0)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

from archspec._numpy import Array
from archspec._patterns import check_patterns_match, matches
from archspec.backend.process_group import ProcessGroup, SingleProcess
from archspec.diagnostics import Failure, quote
from archspec.ir.graph import Graph, Node
from archspec.ir.recipe import Recipe


@dataclass(frozen=True, slots=True)
class ParamGroup:
    """How a tensor is trained: the factor on its learning rate, and its weight decay."""

    lr_multiplier: float
    weight_decay: float


def param_groups(recipe: Recipe, graph: Graph) -> dict[str, ParamGroup]:
    """By name, every tensor that is trained, in the order of the graph; raises `Failure` for an idle pattern."""
    check_patterns_match(
        (*recipe.freeze, *recipe.lr_multipliers), [name for name, _, _ in graph.parameters()]
    )
    found: dict[str, ParamGroup] = {}
    counted: set[str] = set()
    for name, node, param in graph.parameters():
        if not param.trainable or matches(name, recipe.freeze):
            continue
        pattern = next(
            (pattern for pattern in reversed(recipe.lr_multipliers) if matches(name, [pattern])), ""
        )
        counted.add(pattern)
        kept = {"bias"} if param.role == "bias" else set[str]()
        kept |= {"norm"} if node.op.family == "norm" else set()
        decay = 0.0 if kept & {*recipe.no_decay} else recipe.weight_decay
        found[name] = ParamGroup(recipe.lr_multipliers.get(pattern, 1.0), decay)
    for pattern in recipe.lr_multipliers:
        if pattern not in counted:
            help = "what is frozen and moving statistics are not; of several patterns that fit, the last counts"
            raise Failure(f"no tensor is trained by the rate of {quote(pattern)}", help)
    return found


def frozen_batch_norms(recipe: Recipe, graph: Graph) -> list[str]:
    """The paths of the batch norms whose moving statistics are frozen: in training too they normalise by these.

    Raises `Failure` for one of which `freeze` names the mean alone, or the variance.
    """
    frozen: dict[Node, list[bool]] = {}
    for name, node, param in graph.parameters():
        if not param.trainable:
            frozen.setdefault(node, []).append(matches(name, recipe.freeze))
    for node, each in frozen.items():
        if len({*each}) > 1:
            message = f"of the moving statistics of {quote(node.path)} ({node.span}) one is frozen, and one is not"
            raise Failure(message, f"freeze {quote(f'{node.path}.running_*')}, or neither")
    return [node.path for node, each in frozen.items() if all(each)]


def microbatches(size: int, count: int) -> list[slice]:
    """A batch in so many parts, as equal as can be; each counts by its share of the samples, and none is empty.

    >>> microbatches(7, 3)
    [slice(0, 3, None), slice(3, 5, None), slice(5, 7, None)]
    """
    return _cut(0, size, min(size, count))


def rank_slices(size: int, count: int, rank: int, world_size: int) -> list[slice]:
    """What one of several processes computes of each of the `parts` of a batch; it may be nothing.

    Each part is divided among all processes, so that a batch norm sees the parts that one process alone would make.

    >>> rank_slices(7, 3, rank=1, world_size=2)
    [slice(2, 3, None), slice(4, 5, None), slice(6, 7, None)]
    """
    return [_cut(part.start, part.stop, world_size)[rank] for part in microbatches(size, count)]


def _cut(start: int, stop: int, count: int) -> list[slice]:
    size = stop - start
    ends = [start + size // count * i + min(i, size % count) for i in range(count + 1)]
    return [slice(*pair) for pair in pairwise(ends)]


@dataclass(frozen=True, slots=True)
class TrainerConfig:
    """What a trainer needs to know."""

    graph: Graph
    recipe: Recipe
    device: str | None = None
    """What to compute on, as the framework calls it; without a name, what is best."""
    compile: bool = False
    """Whether the framework's compiler is used where that is a choice."""
    group: ProcessGroup = field(default_factory=SingleProcess)
    """Those that train together."""
    training: bool = True
    """Whether it is to take steps, or to predict alone."""

    @property
    def param_groups(self) -> dict[str, ParamGroup]:
        return param_groups(self.recipe, self.graph)

    @property
    def frozen_batch_norms(self) -> list[str]:
        return frozen_batch_norms(self.recipe, self.graph)


LOSS_SCALE = "scale"
"""What float16 keeps beside: by what a loss is multiplied, and for how many steps that did not overflow."""


@dataclass(frozen=True, slots=True)
class TrainState:
    """All that training goes on from, in neutral names and layouts but for `own`.

    `average` is the mean of the tensors that the recipe asks for, empty where it asks for none; `updates` counts steps
    of the optimizer. `own` is what one backend alone understands, as the state of its random numbers: another leaves
    it out, and then draws other masks. In float16 all understand its `SCALE`.
    """

    tensors: dict[str, Array]
    slots: dict[str, Array] = field(default_factory=dict[str, Any])
    average: dict[str, Array] = field(default_factory=dict[str, Any])
    updates: int = 0
    backend_state: dict[str, Array] = field(default_factory=dict[str, Any])


class Trainer(Protocol):
    """A built model that learns."""

    device: str
    """What it computes on, for people."""

    def step(self, x: Array, y: Array, learning_rate: float, size: int | None = None) -> None:
        """One update from a batch x [N, *input] in float32 and its labels y [N]; it need not wait for the result.

        The loss is the mean over the batch, summed over the heads, each times its weight. Where the recipe accumulates,
        the batch is computed in the `parts` that it says, one after the other. In a group `size` is that of the whole
        batch, and x holds this process's `shares` of its parts: all processes together make the one update.
        """
        ...

    def losses(self) -> Mapping[str, float]:
        """Means over the steps since it was last asked: by head, and `loss`, their weighted sum; of the whole group."""
        ...

    def predict(self, x: Array) -> Array:
        """The main output in eval mode, by the averaged tensors where the recipe averages."""
        ...

    def save(self) -> TrainState:
        """What training goes on from; all of a group call it, and are given the same."""
        ...

    def restore(self, state: TrainState) -> None: ...

"""Training as the shared loop sees it: a trainer, its config and its state.

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

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, Protocol

from archspec._numpy import Array
from archspec._patterns import matches
from archspec.backend.process_group import ProcessGroup, SingleProcess
from archspec.diagnostics import Failure, did_you_mean, quote
from archspec.ir.graph import Graph, Node
from archspec.ir.op import ParamSpec
from archspec.ir.recipe import Recipe


@dataclass(frozen=True, slots=True)
class ParamGroup:
    """The settings that a tensor is trained by."""

    lr_multiplier: float
    """The factor on the learning rate of the step."""
    weight_decay: float
    """The coefficient of its weight decay, 0 for none."""


def param_groups(recipe: Recipe, graph: Graph) -> dict[str, ParamGroup]:
    """Return the settings of every tensor that is trained, by name, in the order of the graph.

    `freeze`, `lr_multipliers` and `no_decay` are applied. Raise `Failure` for a pattern that fits
    no tensor, or that multiplies the learning rate of none.
    """
    for _, _, message, help in unused_patterns(recipe, graph):
        raise Failure(message, help)
    groups: dict[str, ParamGroup] = {}
    for name, node, param in graph.parameters():
        if not param.trainable or matches(name, recipe.freeze):
            continue
        pattern = _last_match(name, recipe)
        multiplier = recipe.lr_multipliers.get(pattern, 1.0)
        groups[name] = ParamGroup(multiplier, _weight_decay(recipe, node, param))
    return groups


def unused_patterns(recipe: Recipe, graph: Graph) -> Iterator[tuple[str, str, str, str]]:
    """Yield the key, the pattern, a message and a help of each pattern that has no effect.

    Those of `freeze` fit no tensor; those of `lr_multipliers` fit none that is trained.
    """
    names = [name for name, _, _ in graph.parameters()]
    trained = {
        _last_match(name, recipe)
        for name, _, param in graph.parameters()
        if param.trainable and not matches(name, recipe.freeze)
    }
    for key, patterns in (("freeze", recipe.freeze), ("lr_multipliers", recipe.lr_multipliers)):
        for pattern in patterns:
            if not any(matches(name, [pattern]) for name in names):
                help = did_you_mean(pattern, names, "tensors")
                yield key, pattern, f"{quote(pattern)} matches no tensor", help
            elif key == "lr_multipliers" and pattern not in trained:
                help = (
                    "frozen tensors and running statistics are not trained; "
                    "if several patterns fit a tensor, the last one counts"
                )
                message = f"no tensor is trained by the learning rate of {quote(pattern)}"
                yield key, pattern, message, help


def _last_match(name: str, recipe: Recipe) -> str:
    """Return the pattern of `lr_multipliers` that counts for a tensor, "" if none fits."""
    for pattern in reversed(recipe.lr_multipliers):
        if matches(name, [pattern]):
            return pattern
    return ""


def _weight_decay(recipe: Recipe, node: Node, param: ParamSpec) -> float:
    if param.role == "bias" and "bias" in recipe.no_decay:
        return 0.0
    if node.op.family == "norm" and "norm" in recipe.no_decay:
        return 0.0
    return recipe.weight_decay


def frozen_batch_norms(recipe: Recipe, graph: Graph) -> list[str]:
    """Return the paths of the batch norms with frozen statistics, which they use in training too.

    Raise `Failure` if `freeze` fits the mean of one and not its variance, or the other way round.
    """
    frozen: dict[Node, list[bool]] = {}
    for name, node, param in graph.parameters():
        if not param.trainable:
            frozen.setdefault(node, []).append(matches(name, recipe.freeze))
    for node, flags in frozen.items():
        if any(flags) and not all(flags):
            message = (
                f"one of the running statistics of {quote(node.path)} ({node.span}) is frozen, "
                "the other is not"
            )
            raise Failure(message, f"freeze {quote(f'{node.path}.running_*')}, or neither")
    return [node.path for node, flags in frozen.items() if all(flags)]


def microbatches(size: int, count: int) -> list[slice]:
    """Split a batch into `count` parts, as equal as possible and none empty.

    Each part's loss is weighted by its share of the samples.

    >>> microbatches(7, 3)
    [slice(0, 3, None), slice(3, 5, None), slice(5, 7, None)]
    """
    return _split(0, size, min(size, count))


def rank_slices(size: int, count: int, rank: int, world_size: int) -> list[slice]:
    """Return one process's slice of each microbatch of a batch; it may be empty.

    Every microbatch is divided among all processes, so that a batch norm over all of them sees the
    microbatches that a single process would.

    >>> rank_slices(7, 3, rank=1, world_size=2)
    [slice(2, 3, None), slice(4, 5, None), slice(6, 7, None)]
    """
    return [_split(part.start, part.stop, world_size)[rank] for part in microbatches(size, count)]


def _split(start: int, stop: int, count: int) -> list[slice]:
    """Split a range into `count` slices, as equal as possible, the longer ones first."""
    size = stop - start
    ends = [start + size // count * i + min(i, size % count) for i in range(count + 1)]
    return [slice(*pair) for pair in pairwise(ends)]


@dataclass(frozen=True, slots=True)
class TrainerConfig:
    """The settings of a trainer."""

    graph: Graph
    """The graph that the folder was built from."""
    recipe: Recipe
    """The optimizer, precision, averaging, accumulation and seed; each step brings its learning
    rate."""
    device: str | None = None
    """The device to compute on, by the framework's name for it; None for the best one."""
    compile: bool = False
    """True to use the framework's compiler, if it is optional there."""
    group: ProcessGroup = field(default_factory=SingleProcess)
    """The processes that train together."""
    shard: Literal["none", "full"] = "none"
    """`full` to divide parameters, gradients and slots among the processes of the group."""
    training: bool = True
    """True if it takes steps, False if it only predicts."""

    @property
    def param_groups(self) -> dict[str, ParamGroup]:
        """The tensors to train, by name, with their settings; see the function `param_groups`."""
        return param_groups(self.recipe, self.graph)

    @property
    def frozen_batch_norms(self) -> list[str]:
        """The batch norms with frozen statistics; see the function `frozen_batch_norms`."""
        return frozen_batch_norms(self.recipe, self.graph)


LOSS_SCALE = "scale"
"""The key of `TrainState.backend_state` for float16: two numbers, the factor on the loss, and the
steps without overflow since it last changed. Every backend reads and writes it."""


@dataclass(frozen=True, slots=True)
class TrainState:
    """The state that training continues from, on any backend, in portable layouts and float32."""

    tensors: dict[str, Array]
    """All tensors, by name."""
    slots: dict[str, Array] = field(default_factory=dict[str, Any])
    """The optimizer's slots, by `session.slot_name`; empty before the first update."""
    average: dict[str, Array] = field(default_factory=dict[str, Any])
    """The average of the tensors, by name; empty before the first update, and if there is none."""
    updates: int = 0
    """The number of optimizer updates so far."""
    backend_state: dict[str, Array] = field(default_factory=dict[str, Any])
    """State that one backend alone understands, such as of its random generator, under keys that
    start with its name. Another backend ignores it, and draws other dropout masks. `LOSS_SCALE` is
    shared."""


class Trainer(Protocol):
    """A built model that is trained. The loop around it is the same for every backend."""

    device: str
    """The device that it computes on, as text for people."""

    def step(self, x: Array, y: Array, learning_rate: float, size: int | None = None) -> None:
        """Make one update from a batch; the framework may still be computing when this returns.

        Args:
            x: The samples, [N, *input], float32.
            y: The labels, [N]: class numbers, int64, or targets as the loss takes them.
            learning_rate: The learning rate of this step, before `lr_multiplier`.
            size: The size of the whole batch if several processes train. x then holds this
                process's `rank_slices` of it, and all processes make one update together.

        The loss is the mean over the batch, summed over the heads by their weights. With
        `accumulate` in the recipe, the batch is computed one of its `microbatches` at a time.
        """
        ...

    def losses(self) -> Mapping[str, float]:
        """Return the mean losses over the steps since the last call, over all processes.

        The keys are the heads that have a loss, and `loss` for their weighted sum.
        """
        ...

    def predict(self, x: Array) -> Array:
        """Return the main output [N, *output], float32, in eval mode, for x [N, *input], float32.

        The averaged tensors are used if the recipe averages.
        """
        ...

    def save(self) -> TrainState:
        """Return the state that training continues from; a collective, with one result for all."""
        ...

    def restore(self, state: TrainState) -> None:
        """Continue from a state of any backend; unknown `backend_state` is ignored."""
        ...

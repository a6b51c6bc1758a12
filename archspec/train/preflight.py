"""What a run is refused for before anything is written: an unfinished recipe, heads that the data cannot train."""

from __future__ import annotations

import math
from operator import eq

from archspec.backend.trainer import frozen_batch_norms, microbatches, param_groups
from archspec.diagnostics import Failure, quote
from archspec.frontend.loader import Spec
from archspec.ir.graph import Head
from archspec.ir.recipe import Recipe
from archspec.ir.types import format_shape
from archspec.train.data import Data


def ready(spec: Spec) -> Recipe:
    """The spec's recipe; raises `Failure` where it leaves open what a run needs."""
    recipe = spec.document.train or Recipe()
    missing = [
        name for name in ("learning_rate", "epochs", "batch") if getattr(recipe, name) is None
    ]
    if missing:
        names = " and ".join(f"`{name}`" for name in missing)
        help = " ".join(f"--set train.{name}=..." for name in missing)
        raise Failure(
            f"the recipe of {quote(spec.name)} states no {names}",
            f"state it under `train`, or give {help}",
        )
    param_groups(recipe, spec.graph)
    return recipe


def refuse_heads(spec: Spec, data: Data) -> None:
    """Raises `Failure` unless a class for each sample can train each head with a loss, and the main one has one.

    What `labels` call its classes may not be what the data call others.
    """
    for head in spec.graph.heads:
        if head.loss != "none":
            _refuse_head(spec, head, data)
    if spec.graph.heads[0].loss == "none":
        raise Failure(
            "the main head has no loss", "state one, as in `heads: {main: {loss: cross_entropy}}`"
        )
    _refuse_order(spec, data)


def _refuse_order(spec: Spec, data: Data) -> None:
    labels, names = list(spec.document.labels or ()), list(data.classes)
    if labels != names and sorted(labels) == sorted(names):
        at = list(map(eq, labels, names)).index(False)
        message = f"the `labels` of {quote(spec.name)} are the classes of {quote(data.name)} in another order"
        help = "order them so, or leave them out: `archspec run` takes the names of the data then"
        raise Failure(
            f"{message}: class {at} is {quote(names[at])}, and not {quote(labels[at])}", help
        )


def _refuse_head(spec: Spec, head: Head, data: Data) -> None:
    node, count = spec.graph.nodes[head.node], len(data.classes)
    where = f"the head {quote(head.name)} ({node.span})"
    if head.name == "loss":
        raise Failure(
            f"{where} has the name of the weighted sum of all losses", "call it otherwise"
        )
    if head.loss == "mse":
        raise Failure(
            f"{where} has the loss mse, which takes numbers, and {quote(data.name)} has classes"
        )
    if len(node.shape) != 1:
        message = f"{where} is {format_shape(node.shape)}, and a sample has one class"
        raise Failure(message, "end it with `flatten`")
    (width,) = node.shape
    if width != count and not (head.loss == "binary_cross_entropy" and (width, count) == (1, 2)):
        help = f"--set classes={count}" if "classes" in spec.args else ""
        raise Failure(f"{quote(data.name)} has {count} classes, {where} tells {width} apart", help)


def refuse_single(spec: Spec, recipe: Recipe, samples: int) -> None:
    """Raises `Failure` where batch norm would have a single value to normalise: that of the one sample of a batch."""
    assert recipe.batch is not None
    sizes = {min(recipe.batch, samples), samples % recipe.batch or recipe.batch}
    alone = [
        size
        for size in sizes
        for part in microbatches(size, recipe.accumulate)
        if part.stop - part.start == 1
    ]
    graph = spec.graph
    fixed = frozen_batch_norms(recipe, graph)
    for index in sorted(graph.reachable(graph.heads)) if alone else ():
        node = graph.nodes[index]
        if (
            node.op.kind == "batch_norm"
            and node.path not in fixed
            and math.prod(node.shape[1:]) == 1
        ):
            message = f"{samples} samples in batches of {recipe.batch} leave one alone, which {quote(node.path)}"
            help = "choose another `batch` or `accumulate`"
            raise Failure(f"{message} ({node.span}) has nothing to normalise by", help)

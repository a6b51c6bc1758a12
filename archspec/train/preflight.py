"""Checks before anything is written: an incomplete recipe, heads that the data cannot train."""

from __future__ import annotations

import math
import re

from archspec.backend.trainer import frozen_batch_norms, microbatches, param_groups
from archspec.checks.losses import untrainable_help, untrainable_reason
from archspec.diagnostics import Failure, quote
from archspec.frontend.loader import Spec
from archspec.ir.graph import Head
from archspec.ir.recipe import Recipe
from archspec.train.data import SplitData


def complete_recipe(spec: Spec) -> Recipe:
    """Return the spec's recipe; raise `Failure` if it lacks what a run needs."""
    recipe = spec.document.train or Recipe()
    required = ("learning_rate", "epochs", "batch")
    missing = [name for name in required if getattr(recipe, name) is None]
    if missing:
        names = " and ".join(f"`{name}`" for name in missing)
        flags = " ".join(f"--set train.{name}=..." for name in missing)
        message = f"the recipe of {quote(spec.name)} states no {names}"
        raise Failure(message, f"state it under `train`, or pass {flags}")
    param_groups(recipe, spec.graph)
    return recipe


def check_losses(spec: Spec) -> None:
    """Raise `Failure` unless one class per sample can train every head with a loss.

    The main head needs a loss.
    """
    graph = spec.graph
    for head in graph.heads:
        where = f"the head {quote(head.name)} ({graph.nodes[head.node].span})"
        if head.name == "loss" and head.loss != "none":
            raise Failure(f"{where} has the name of the weighted sum of all losses", "rename it")
        if reason := untrainable_reason(head, graph):
            help = untrainable_help(head, graph)
            raise Failure(f"{where} cannot be trained yet: {reason}", help)
    if graph.heads[0].loss == "none":
        help = "state one, as in `heads: {main: {loss: cross_entropy}}`"
        raise Failure("the main head has no loss", help)


def check_heads(spec: Spec, data: SplitData) -> None:
    """Raise `Failure` unless the data have as many classes as every head with a loss, two at least.

    The spec's `labels` may not order the data's classes differently.
    """
    for head in spec.graph.heads:
        if head.loss != "none":
            _check_head(spec, head, data)
    _check_label_order(spec, data)


def _check_label_order(spec: Spec, data: SplitData) -> None:
    """Raise `Failure` if a name that `labels` shares with the classes stands for another one.

    `dog` and `Dog` are one name. Classes of arrays have no names but their numbers: labels of such
    data count from 1 as well as from 0.
    """
    labels = list(map(_comparable, spec.document.labels or ()))
    names = list(map(_comparable, data.classes))
    is_numbered = list(data.classes) == [str(index) for index in range(len(names))]
    if is_numbered and sorted(labels) != sorted(names):
        return
    for index, (label, name) in enumerate(zip(labels, names, strict=False)):
        if label != name and (
            _is_elsewhere(label, labels, names) or _is_elsewhere(name, names, labels)
        ):
            _refuse_labels(spec, data, index)


def _is_elsewhere(name: str, ours: list[str], theirs: list[str]) -> bool:
    """Return whether the others have the name at an index where we have another one."""
    return name in theirs and ours[theirs.index(name) : theirs.index(name) + 1] != [name]


def _refuse_labels(spec: Spec, data: SplitData, index: int) -> None:
    labels = spec.document.labels
    assert labels is not None
    message = (
        f"the `labels` of {quote(spec.name)} name the classes of {quote(data.name)} "
        f"in another order: class {index} is {quote(data.classes[index])}, "
        f"not {quote(labels[index])}"
    )
    help = "reorder them, or leave them out: `archspec run` then uses the data's names"
    raise Failure(message, help)


def _comparable(name: str) -> str:
    """Return a name without the case and the separators in which spellings differ.

    >>> _comparable("Golden Retriever") == _comparable("golden_retriever")
    True
    """
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def _check_head(spec: Spec, head: Head, data: SplitData) -> None:
    node = spec.graph.nodes[head.node]
    classes = len(data.classes)
    where = f"the head {quote(head.name)} ({node.span})"
    (width,) = node.shape
    # One logit separates two classes.
    is_binary = head.loss == "binary_cross_entropy" and (width, classes) == (1, 2)
    if classes == 1:
        message = (
            f"{quote(data.name)} has one class, {quote(data.classes[0])}: "
            f"{where} has nothing to tell apart"
        )
        raise Failure(message, "images have a folder for each class")
    if head.loss == "cross_entropy" and width == 1:
        message = f"{where} has one output, and cross-entropy takes one for each class"
        raise Failure(message, "`loss: binary_cross_entropy` takes one output for two classes")
    if width != classes and not is_binary:
        help = f"--set classes={classes}" if "classes" in spec.args else ""
        message = f"{quote(data.name)} has {classes} classes, but {where} has {width} outputs"
        raise Failure(message, help)


def check_batch_norm_sizes(spec: Spec, recipe: Recipe, samples: int) -> None:
    """Raise `Failure` if a batch norm would normalise a single value: of a batch of one sample."""
    graph = spec.graph
    frozen = frozen_batch_norms(recipe, graph)
    if not _has_single_sample(recipe, samples):
        return
    for index in sorted(graph.reachable(graph.heads)):
        node = graph.nodes[index]
        trains = node.op.kind == "batch_norm" and node.path not in frozen
        if trains and math.prod(node.shape[1:]) == 1:
            message = (
                f"{samples} samples in batches of {recipe.batch} leave a batch of one, "
                f"for which {quote(node.path)} ({node.span}) has no statistics"
            )
            raise Failure(message, "choose another `batch` or `accumulate`")


def _has_single_sample(recipe: Recipe, samples: int) -> bool:
    """Return whether any microbatch of an epoch has one sample."""
    assert recipe.batch is not None
    full = min(recipe.batch, samples)
    last = samples % recipe.batch or recipe.batch
    parts = [part for size in (full, last) for part in microbatches(size, recipe.accumulate)]
    return any(part.stop - part.start == 1 for part in parts)

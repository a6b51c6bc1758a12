"""A run's metrics as curves over the epochs: losses, validation accuracy and the learning rate.

>>> losses = {"main": 2.0, "loss": 2.0}
>>> line = {"kind": "train", "epoch": 0.5, "learning_rate": 0.1, "losses": losses}
>>> [(panel.title, [curve.label for curve in panel.curves]) for panel in panels([line])]
[('loss', ['training']), ('learning rate', [''])]
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any

from archspec.diagnostics import writing
from archspec.diagnostics.render import visible
from archspec.train.log import read_metrics

CURVES_FILE = "curves.svg"
NO_MATPLOTLIB = "no curves.svg: matplotlib is not installed; pip install 'archspec-nn[train]'"
COLORS = ("tab:blue", "tab:green", "tab:purple", "tab:brown", "tab:gray")
VALIDATION_COLOR = "tab:orange"
MAX_MARKED_POINTS = 50
"""The most points of a curve that are marked."""
STYLE: Mapping[str, Any] = {
    "svg.hashsalt": "archspec",  # equal curves are equal files
    "svg.fonttype": "none",
    "text.parse_math": False,  # a name may hold a dollar
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.alpha": 0.3,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Curve:
    """Values over epochs."""

    label: str
    epochs: list[float]
    values: list[float]
    validation: bool = False


@dataclass(frozen=True)
class Panel:
    """Curves with one scale: from 0 on, or up to 1 for fractions."""

    title: str
    curves: list[Curve]
    is_fraction: bool = False


def panels(lines: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """Return the panels for the lines of a log; panels and curves without a value are left out.

    Each head has a loss curve if there are several, and top-5 is drawn unless it is always 1.
    """
    training = _complete(lines, "train", ("epoch", "learning_rate", "losses"))
    validation = _complete(lines, "validation", ("epoch", "loss", "top1", "top5"))
    drawn = [
        _loss_panel(training, validation),
        _accuracy_panel(validation),
        Panel("learning rate", [_curve("", training, lambda line: line["learning_rate"])]),
    ]
    nonempty = [
        replace(panel, curves=[curve for curve in panel.curves if curve.values]) for panel in drawn
    ]
    return [panel for panel in nonempty if panel.curves]


def _complete(
    lines: Sequence[Mapping[str, Any]], kind: str, figures: Sequence[str]
) -> list[Mapping[str, Any]]:
    """Return the lines of a kind; one without its figures, as another program may write, is not."""
    return [
        line for line in lines if line["kind"] == kind and all(name in line for name in figures)
    ]


def _loss_panel(training: Sequence[Any], validation: Sequence[Any]) -> Panel:
    names = dict.fromkeys(name for line in training for name in line["losses"])
    heads = [name for name in names if name != "loss"]
    labels = {"loss": "training"}
    if len(heads) > 1:
        labels = {name: f"training, {visible(name)}" for name in heads}
        labels["loss"] = "training, weighted sum"
    losses = [
        _curve(label, training, lambda line, name=name: line["losses"].get(name))
        for name, label in labels.items()
    ]
    losses.append(_curve("validation", validation, lambda line: line["loss"], validation=True))
    return Panel("loss", losses)


def _accuracy_panel(validation: Sequence[Any]) -> Panel:
    best = max(validation, key=lambda line: line["top1"], default={"top1": 0, "epoch": 0})
    label = f"top-1, best {best['top1']:.2%} after epoch {best['epoch']:g}"
    accuracy = [_curve(label, validation, lambda line: line["top1"], validation=True)]
    if any(line["top5"] < 1 for line in validation):
        accuracy.append(_curve("top-5", validation, lambda line: line["top5"]))
    return Panel("validation accuracy", accuracy, is_fraction=True)


def _curve(
    label: str,
    lines: Sequence[Any],
    value_of: Callable[[Any], float | None],
    *,
    validation: bool = False,
) -> Curve:
    points = [(line["epoch"], value_of(line)) for line in lines]
    points = [(epoch, value) for epoch, value in points if value is not None]
    return Curve(label, [epoch for epoch, _ in points], [value for _, value in points], validation)


def write_curves(run: Path, title: str, on_note: Callable[[str], object]) -> None:
    """Write `curves.svg` into a run's folder; the same metrics give the same bytes.

    Without matplotlib only `on_note` is called. Raises `Failure` if the file cannot be written.
    """
    try:
        import matplotlib
    except ImportError:
        on_note(NO_MATPLOTLIB)
        return
    drawn = panels(read_metrics(run))
    if not drawn:
        return
    staging = run / f".{CURVES_FILE}"
    mpl: Any = matplotlib  # it is typed only in part
    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}), warnings.catch_warnings():
        # The viewer's fonts have the glyphs that matplotlib's own lack.
        warnings.filterwarnings("ignore", "Glyph")
        figure = draw(drawn, title)
        try:
            with writing(run / CURVES_FILE):
                figure.savefig(staging, format="svg", metadata={"Date": None})
                staging.replace(run / CURVES_FILE)
        finally:
            staging.unlink(missing_ok=True)


def draw(drawn: Sequence[Panel], title: str) -> Any:
    """Return a matplotlib figure: one panel below the other, over the same epochs."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure: Any = Figure(figsize=(8, 1 + 2.4 * len(drawn)), layout="constrained")
    figure.suptitle(visible(title))
    axes: Any = figure.subplots(len(drawn), sharex=True, squeeze=False)[:, 0]
    for axis, panel in zip(axes, drawn, strict=True):
        _draw_panel(axis, panel)
    axes[-1].set_xlabel("epoch")
    axes[-1].set_xlim(left=0)
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _draw_panel(axis: Any, panel: Panel) -> None:
    from matplotlib.ticker import PercentFormatter

    for curve, color in zip(panel.curves, cycle(COLORS)):
        axis.plot(
            curve.epochs,
            curve.values,
            label=curve.label,
            color=VALIDATION_COLOR if curve.validation else color,
            marker="." if len(curve.values) <= MAX_MARKED_POINTS else "",
            zorder=2 + curve.validation,
        )
    axis.set_ylabel(panel.title)
    if panel.is_fraction:
        axis.set_ylim(top=1)
        axis.yaxis.set_major_formatter(PercentFormatter(1))
    else:
        axis.set_ylim(bottom=0)
    if any(curve.label for curve in panel.curves):
        axis.legend()

"""A run's reports as a picture: losses, accuracy on what is held out and the learning rate, over the epochs.

>>> drawn = panels([{"kind": "train", "epoch": 0.5, "rate": 0.1, "losses": {"main": 2.0, "loss": 2.0}}])
>>> [(panel.title, [line.label for line in panel.lines]) for panel in drawn]
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
from archspec.train.log import read_log

NAME = "curves.svg"
LACKING = "no curves.svg: matplotlib is not installed; pip install 'archspec-nn[train]'"
COLOURS, HELD_OUT = ("tab:blue", "tab:green", "tab:purple", "tab:brown", "tab:gray"), "tab:orange"
FEW = 50
"""So many points are marked each."""
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
class Line:
    """What is drawn: values over epochs."""

    label: str
    epochs: list[float]
    values: list[float]
    held_out: bool = False


@dataclass(frozen=True)
class Panel:
    """Lines with one scale, from 0 on, or, where they are a `share`, up to 1."""

    title: str
    lines: list[Line]
    share: bool = False


def panels(reports: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """What there is to be drawn: each head's loss where there are several, and top-5 where it is not always all."""
    trained = [one for one in reports if one["kind"] == "train"]
    scored = [one for one in reports if one["kind"] == "held_out"]
    heads = list(dict.fromkeys(name for one in trained for name in one["losses"] if name != "loss"))
    several = {name: f"training, {visible(name)}" for name in heads} if len(heads) > 1 else {}
    names = {**several, "loss": "training, weighted sum" if several else "training"}
    losses = [
        _line(label, trained, lambda one, name=name: one["losses"].get(name))
        for name, label in names.items()
    ]
    losses.append(_line("held out", scored, lambda one: one["loss"], held_out=True))
    best = max(scored, key=lambda one: one["top1"], default={"top1": 0, "epoch": 0})
    label = f"top-1, best {best['top1']:.2%} after epoch {best['epoch']:g}"
    accuracy = [_line(label, scored, lambda one: one["top1"], held_out=True)]
    if any(one["top5"] < 1 for one in scored):
        accuracy.append(_line("top-5", scored, lambda one: one["top5"]))
    found = [
        Panel("loss", losses),
        Panel("accuracy, held out", accuracy, share=True),
        Panel("learning rate", [_line("", trained, lambda one: one["rate"])]),
    ]
    shown = [replace(panel, lines=[line for line in panel.lines if line.values]) for panel in found]
    return [panel for panel in shown if panel.lines]


def _line(
    label: str,
    reports: Sequence[Any],
    value: Callable[[Any], float | None],
    *,
    held_out: bool = False,
) -> Line:
    points = [(one["epoch"], found) for one in reports if (found := value(one)) is not None]
    return Line(label, [epoch for epoch, _ in points], [found for _, found in points], held_out)


def write_curves(run: Path, title: str, remark: Callable[[str], object]) -> None:
    """Writes `curves.svg` into a run's folder; the same reports give the same bytes.

    Where matplotlib is missing, `remark` is told. Raises `Failure` where the file cannot be written.
    """
    try:
        import matplotlib
    except ImportError:
        remark(LACKING)
        return
    drawn = panels(read_log(run))
    if not drawn:
        return
    staging = run / f".{NAME}"
    mpl: Any = matplotlib  # it is typed in part alone
    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Glyph"
        )  # the viewer's fonts have what matplotlib's own lacks
        figure = draw(drawn, title)
        try:
            with writing(run / NAME):
                figure.savefig(staging, format="svg", metadata={"Date": None})
                staging.replace(run / NAME)
        finally:
            staging.unlink(missing_ok=True)


def draw(drawn: Sequence[Panel], title: str) -> Any:
    """A figure of matplotlib's: one panel below the other, over the same epochs."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure: Any = Figure(figsize=(8, 1 + 2.4 * len(drawn)), layout="constrained")
    figure.suptitle(visible(title))
    axes: Any = figure.subplots(len(drawn), sharex=True, squeeze=False)[:, 0]
    for axis, panel in zip(axes, drawn, strict=True):
        for line, colour in zip(panel.lines, cycle(COLOURS)):
            marker = "." if len(line.values) <= FEW else ""
            colour = HELD_OUT if line.held_out else colour
            axis.plot(
                line.epochs,
                line.values,
                label=line.label,
                color=colour,
                marker=marker,
                zorder=2 + line.held_out,
            )
        axis.set_ylabel(panel.title)
        if panel.share:
            axis.set_ylim(top=1)
            axis.yaxis.set_major_formatter(PercentFormatter(1))
        else:
            axis.set_ylim(bottom=0)
        if any(line.label for line in panel.lines):
            axis.legend()
    axes[-1].set_xlabel("epoch")
    axes[-1].set_xlim(left=0)
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure

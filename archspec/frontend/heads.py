"""Heads: the outputs of a network beside its main one, each hung on one step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from archspec.diagnostics import Note, Report, Span, did_you_mean, quote
from archspec.frontend.pydantic_errors import in_tree
from archspec.frontend.tree import Map, Tree
from archspec.ir.document import HeadSection
from archspec.ir.graph import Head

if TYPE_CHECKING:
    from archspec.frontend.elaborate import Elaborator
    from archspec.frontend.frame import Frame, Value


class Heads:
    """The heads that a spec declares; elaboration attaches each as it passes its step.

    `forms` is None where the section cannot be read: then nothing is said of heads.
    """

    def __init__(
        self, forms: Mapping[str, HeadSection] | None, tree: Tree | None, report: Report
    ) -> None:
        self.known, self.forms, self.report = forms is not None, forms or {}, report
        self.spans: dict[str, Span] = (
            {key.text: key.span for key, _ in tree} if isinstance(tree, Map) else {}
        )
        self.place = in_tree(tree) if tree is not None else None
        self.values: dict[str, Value] = {}
        self.places: dict[str, Span] = {}
        self.on: dict[str, list[str]] = {}
        for name, form in self.forms.items():
            if not name.strip() or "." in name:
                message = f"a head's name is a text without dots, found {quote(name)}"
                report.error("AS0210", self.spans[name], message)
            if form.at is not None and name != "main":
                self.on.setdefault(form.at, []).append(name)

    def span(self, name: str, key: str = "") -> Span:
        assert self.place is not None
        return self.place((name, key) if key else (name,), not key)

    def passed(self, build: Elaborator, frame: Frame, step: str, value: Value) -> None:
        """Attaches the heads that say `from` this step."""
        for name in self.on.get(step, ()):
            self.attach(build, frame, name, value, self.span(name, "from"))

    def attach(self, build: Elaborator, frame: Frame, name: str, value: Value, span: Span) -> None:
        """Hangs a head on a value: its block's output, or the value itself where it has no block."""
        form = self.forms.get(name)
        if not self.known:
            return
        if form is None or name == "main":
            known = [n for n in self.forms if n != "main"]
            self.report.error(
                "AS0405",
                span,
                f"there is no head {quote(name)}",
                help=did_you_mean(name, known, "heads"),
            )
        elif name in self.values:
            help = "attach it by `aux` or by `from`, at one step"
            notes = [Note("first attached", self.places[name])]
            self.report.error(
                "AS0407", span, f"the head {quote(name)} is attached twice", notes=notes, help=help
            )
            return
        self.places[name] = span
        if form is None or form.block is None:
            self.values[name] = value
        elif form.block not in build.blocks:
            help = did_you_mean(form.block, build.blocks, "blocks")
            self.report.error(
                "AS0203", self.span(name, "block"), f"unknown block {quote(form.block)}", help=help
            )
            self.values[name] = None
        else:
            self.values[name] = build.head(frame, name, form.block, value, self.span(name))

    def outputs(self, main: Value, frame: Frame, lost: bool) -> tuple[Head, ...]:
        """The heads with the values that elaboration found, `main` first; reports those that hang nowhere.

        Where a row is lost, they may hang there.
        """
        found: list[Head] = []
        main_form = self.forms.get("main") or HeadSection.model_validate({})
        for key in ("block", "at"):
            if getattr(main_form, key) is not None:
                spelt = "from" if key == "at" else key
                help = "add the steps to the network itself"
                self.report.error(
                    "AS0202",
                    self.span("main", spelt),
                    f"the head `main` takes no `{spelt}`",
                    help=help,
                )
        for name, form in {"main": main_form, **self.forms}.items():
            if name != "main" and name not in self.values and not lost:
                self._unattached(name, form, frame)
            value = main if name == "main" else self.values.get(name)
            if value is not None:
                found.append(
                    Head(name, value, form.loss, form.weight, form.only == "train", form.classes)
                )
        return tuple(found)

    def _unattached(self, name: str, form: HeadSection, frame: Frame) -> None:
        if form.at is None:
            help = "name it under `aux` of a step, or give it `from: STEP`"
            self.report.error(
                "AS0406",
                self.span(name),
                f"the head {quote(name)} is attached to no step",
                help=help,
            )
        else:
            help = did_you_mean(form.at, [n for n in frame.names if n != "input"], "steps")
            message = f"the head {quote(name)} hangs on {quote(form.at)}, and no step is called so"
            self.report.error("AS0406", self.span(name, "from"), message, help=help)

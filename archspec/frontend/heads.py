"""Heads: the outputs of a network beside its main one, each attached to one step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from archspec.diagnostics import Note, Report, Span, did_you_mean, quote
from archspec.frontend.frame import Frame, Value
from archspec.frontend.pydantic_errors import span_finder
from archspec.frontend.tree import Tree, YamlMap
from archspec.ir.document import HeadSection
from archspec.ir.graph import Head

InstantiateHead = Callable[[Frame, str, str, Value, Span], Value]
"""Instantiates a block, from a frame, the head's name, the block's name, its input and a span."""


class Heads:
    """The heads that a spec declares; elaboration attaches each at its step.

    `forms` is None where the section cannot be read: then nothing is reported about heads.
    """

    def __init__(
        self,
        forms: Mapping[str, HeadSection] | None,
        blocks: Collection[str],
        tree: Tree | None,
        report: Report,
    ) -> None:
        self.readable = forms is not None
        self.forms = forms or {}
        self.blocks = blocks
        self.report = report
        self.spans: dict[str, Span] = {}
        if isinstance(tree, YamlMap):
            self.spans = {key.text: key.span for key, _ in tree}
        self.find_span = span_finder(tree) if tree is not None else None
        self.values: dict[str, Value] = {}
        self.attached_at: dict[str, Span] = {}
        self.pending: dict[str, list[str]] = {}
        """By step: the heads that name it under `from`."""
        for name, form in self.forms.items():
            if not name.strip() or "." in name:
                message = f"a head's name is a text without dots, found {quote(name)}"
                report.error("AS0210", self.spans[name], message)
            if form.at is not None and name != "main":
                self.pending.setdefault(form.at, []).append(name)

    def span(self, name: str, key: str = "") -> Span:
        """Return the span of a head's name, or of the value of one of its keys."""
        assert self.find_span is not None
        if key:
            return self.find_span((name, key), False)
        return self.find_span((name,), True)

    def attach_pending(
        self, frame: Frame, step: str, value: Value, instantiate: InstantiateHead
    ) -> None:
        """Attach the heads that name this step under `from`."""
        for name in self.pending.get(step, ()):
            self.attach(frame, name, value, self.span(name, "from"), instantiate)

    def attach(
        self, frame: Frame, name: str, value: Value, span: Span, instantiate: InstantiateHead
    ) -> None:
        """Attach a head to a value: its output is its block's, or the value itself without one."""
        if not self.readable:
            return
        form = self.forms.get(name)
        if form is None or name == "main":
            heads = [other for other in self.forms if other != "main"]
            help = did_you_mean(name, heads, "heads")
            self.report.error("AS0405", span, f"there is no head {quote(name)}", help=help)
        elif name in self.values:
            message = f"the head {quote(name)} is attached twice"
            notes = [Note("first attached", self.attached_at[name])]
            help = "attach it by `aux` or by `from`, at one step"
            self.report.error("AS0407", span, message, notes=notes, help=help)
            return
        self.attached_at[name] = span
        if form is None or form.block is None:
            self.values[name] = value
        elif form.block not in self.blocks:
            message = f"unknown block {quote(form.block)}"
            help = did_you_mean(form.block, self.blocks, "blocks")
            self.report.error("AS0203", self.span(name, "block"), message, help=help)
            self.values[name] = None
        else:
            self.values[name] = instantiate(frame, name, form.block, value, self.span(name))

    def outputs(self, main: Value, frame: Frame, row_unknown: bool) -> tuple[Head, ...]:
        """Return the heads whose values are known, `main` first.

        Unattached ones are reported, unless `row_unknown`: then they may belong to that row.
        """
        main_form = self.forms.get("main") or HeadSection.model_validate({})
        self._check_main(main_form)
        heads: list[Head] = []
        for name, form in {"main": main_form, **self.forms}.items():
            if name != "main" and name not in self.values and not row_unknown:
                self._report_unattached(name, form, frame)
            value = main if name == "main" else self.values.get(name)
            if value is not None:
                train_only = form.only == "train"
                heads.append(Head(name, value, form.loss, form.weight, train_only, form.classes))
        return tuple(heads)

    def _check_main(self, form: HeadSection) -> None:
        for field, key in (("block", "block"), ("at", "from")):
            if getattr(form, field) is not None:
                message = f"the head `main` takes no `{key}`"
                help = "add the steps to the network itself"
                self.report.error("AS0202", self.span("main", key), message, help=help)

    def _report_unattached(self, name: str, form: HeadSection, frame: Frame) -> None:
        if form.at is None:
            message = f"the head {quote(name)} is attached to no step"
            help = "name it under `aux` of a step, or give it `from: STEP`"
            self.report.error("AS0406", self.span(name), message, help=help)
            return
        steps = [step for step in frame.names if step != "input"]
        message = f"the head {quote(name)} attaches to {quote(form.at)}, and no step has that name"
        help = did_you_mean(form.at, steps, "steps")
        self.report.error("AS0406", self.span(name, "from"), message, help=help)

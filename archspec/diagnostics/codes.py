"""Every diagnostic's code and title; `docs/errors/` holds a page for each, with a failing and a mended spec."""

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    "AS0001": "a file cannot be read",
    "AS0002": "an override cannot be read",
    "AS0101": "YAML syntax",
    "AS0102": "the file is not UTF-8",
    "AS0103": "a tab indents",
    "AS0104": "a YAML tag",
    "AS0105": "nested too deep",
    "AS0106": "the spec is too large",
    "AS0107": "an alias that is undefined or expands too far",
    "AS0108": "a key is given twice",
    "AS0201": "a key is missing",
    "AS0202": "an unknown key",
    "AS0203": "an unknown op or block",
    "AS0204": "a value of the wrong type",
    "AS0205": "a value out of its range",
    "AS0206": "a step with two ops or none",
    "AS0207": "a required argument without a value",
    "AS0208": "a row longer or shorter than its columns",
    "AS0209": "a column that the row's type does not know",
    "AS0210": "a name that cannot be one",
    "AS0301": "concat branches differ outside the channel axis",
    "AS0302": "operands do not broadcast",
    "AS0303": "an output is not what the spec says",
    "AS0304": "a window or padding that does not fit",
    "AS0305": "groups do not divide the channels",
    "AS0306": "linear on an unflattened input",
    "AS0307": "a rank that the op does not take",
    "AS0308": "a reshape changes the number of elements",
    "AS0309": "a classifier whose width is not the head's classes",
    "AS0310": "a crop larger than its input",
    "AS0311": "a merge of fewer than two values",
    "AS0312": "a value for another number of axes",
    "AS0401": "an undefined argument",
    "AS0402": "`from` names no earlier step",
    "AS0403": "a name used twice",
    "AS0404": "a block contains itself",
    "AS0405": "an unknown head",
    "AS0406": "a head that is attached to no step",
    "AS0407": "a head attached twice",
    "AS0408": "specs extend each other in a circle",
    "AS0409": "the extended spec is not there",
    "AS0410": "the extended spec lies outside the folder",
    "AS0411": "an address that names nothing",
    "AS0501": "an expression cannot be read",
    "AS0502": "an unknown function",
    "AS0503": "division by zero",
    "AS0504": "a fraction where an integer is due",
    "AS0505": "a value too large",
    "AS0506": "a value of the wrong kind in an expression",
    "AS0601": "an argument that nothing uses",
    "AS0602": "a block that nothing uses",
    "AS0603": "a result that nothing uses",
    "AS0604": "two activations in a row",
    "AS0605": "a printed figure is not ours",
    "AS0606": "an erratum without a difference",
    "AS0701": "too many layers",
    "AS0702": "blocks nested too deep",
    "AS0801": "a model too large to build",
}


def page(code: str) -> str:
    """The page that explains a code: what it means, a failing and a mended spec, in Markdown.

    Comments are for the tests, and left out.
    """
    import re
    from pathlib import Path

    inside = Path(__file__).parent / "errors"
    folder = inside if inside.is_dir() else Path(__file__).parent.parent / "docs" / "errors"
    return re.sub(
        r"<!--.*?-->\n?", "", (folder / f"{code}.md").read_text(encoding="utf-8"), flags=re.DOTALL
    )

"""The checker of error pages, fed wrong pages and a command line of our own making."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.helpers.error_pages import check_page
from tests.helpers.markdown import PageError


def main(argv: Sequence[str]) -> int:
    """Says of a spec what its lines `error AS0001` and `warning AS0002` ask for."""
    assert argv[0] in ("check", "build")
    path = Path(argv[1])
    lines = (
        path.read_bytes().decode("utf-8", "replace").splitlines()
        if path.exists()
        else ["error AS0009"]
    )
    said = [line.split() for line in lines if line.startswith(("error", "warning"))]
    said += [["error", "AS0008"]] if "--set" in argv else []
    for severity, code in said:
        sys.stderr.write(f"{severity}[{code}]: a message that quotes error[AS0007]\n")
    return int(any(severity == "error" for severity, _ in said))


def page(fail: str, good: str, title: str = "# AS0001: broken", above: str = "") -> str:
    return (
        f'{title}\n\n{above}\n```yaml title="fails"\n{fail}\n```\n\n'
        f'```yaml title="fixed"\n{good}\n```\n'
    )


@pytest.mark.parametrize(
    "text",
    [
        page("error AS0001", "fine"),
        page("warning AS0001", "fine"),
        page("error AS0001", "warning AS0002"),
        page("fine", "fine", "# AS0008: broken", "<!-- args: --set a=1 -->"),
        page("fine", "fine", "# AS0009: broken", "<!-- path: missing.yaml -->"),
        page("error AS0001", "fine", above="<!-- command: build -->"),
    ],
)
def test_a_true_page_passes(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_page(text, text[2:8], "broken", tmp_path, main)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (page("fine", "fine"), "yields nothing"),
        (page("error AS0002", "fine"), "not AS0001 alone"),
        (page("error AS0001\nwarning AS0002", "fine"), "not AS0001 alone"),
        (page("error AS0001", "error AS0001"), "the fixed spec"),
        (page("error AS0001", "error AS0002"), "the fixed spec"),
        (page("warning AS0001", "warning AS0001"), "the fixed spec"),
        (page("error AS0001", "fine", "# AS0001: another"), "opens with"),
        (page("error AS0001", "fine").replace('yaml title="fixed"', "yaml"), "needs one block"),
        (page("error AS0001", "fine").replace('yaml title="fails"', "yaml"), "needs one block"),
    ],
)
def test_a_false_page_fails(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PageError, match=message):
        check_page(text, "AS0001", "broken", tmp_path, main)


@pytest.mark.parametrize("code", [0, 2, 3])
def test_an_exit_code_that_fits_no_finding_fails(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PageError, match=f"ends with {code}"):
        check_page(
            page("error AS0001", "fine"),
            "AS0001",
            "broken",
            tmp_path,
            lambda argv: main(argv) and code,
        )


def test_padding_and_encoding_reach_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    above = "<!-- pad: 5000 -->\n<!-- encoding: latin-1 -->"
    check_page(page("error AS0001\n# é", "fine", above=above), "AS0001", "broken", tmp_path, main)
    data = (tmp_path / "fails.yaml").read_bytes()
    assert b"\xe9" in data
    assert 5000 <= len(data) < 5010

"""Every code has a page, and every page is true."""

from pathlib import Path

import pytest

from archspec.cli import main
from archspec.diagnostics.codes import CODES
from tests.helpers.error_pages import check_page

ERRORS = Path(__file__).parent.parent / "docs" / "errors"


def test_the_pages_are_those_of_the_codes() -> None:
    assert sorted(path.stem for path in ERRORS.glob("AS*.md")) == sorted(CODES)


def test_the_index_lists_every_code_with_its_title() -> None:
    lines = (ERRORS / "index.md").read_text().splitlines()
    assert [line for line in lines if line.startswith("- [AS")] == [
        f"- [{c}]({c}.md): {CODES[c]}" for c in sorted(CODES)
    ]


@pytest.mark.parametrize("page", sorted(ERRORS.glob("AS*.md")), ids=lambda page: page.stem)
def test_the_failing_spec_fails_and_the_mended_one_does_not(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check_page(page.read_text(), page.stem, CODES[page.stem], tmp_path, main)

"""Every code has a page, and every page is true."""

from pathlib import Path

import pytest

from archspec.cli import main
from archspec.diagnostics.codes import codes, page
from tests.helpers.error_pages import check_page

ERRORS = Path(__file__).parent.parent / "docs" / "errors"


def test_every_code_has_a_title() -> None:
    assert {code: title for code, title in codes().items() if not title} == {}


def test_the_codes_are_those_of_the_pages() -> None:
    assert sorted(codes()) == sorted(path.stem for path in ERRORS.glob("AS*.md"))
    assert len(codes()) > 50


def test_a_page_is_explained_without_the_comments_for_its_tests() -> None:
    written = (ERRORS / "AS0106.md").read_text()
    assert "<!-- pad: " in written
    assert page("AS0106") == written.replace("<!-- pad: 4200000 -->\n", "")


@pytest.mark.parametrize("path", sorted(ERRORS.glob("AS*.md")), ids=lambda path: path.stem)
def test_the_failing_spec_fails_and_the_fixed_one_does_not(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check_page(path.read_text(), path.stem, codes()[path.stem], tmp_path, main)

"""Every code block of the README and the docs runs, and every page can be reached."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import skimage
import yaml

from tests.helpers.markdown import run_page
from tests.helpers.scripts import scripts

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PHOTO = Path(skimage.__path__[0]) / "data" / "chelsea.png"
APART = {
    "errors",
    "decisions",
}  # the error pages have tests of their own; decisions quote what was weighed


def pages() -> list[Path]:
    found = [p for p in sorted(DOCS.rglob("*.md")) if p.relative_to(DOCS).parts[0] not in APART]
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *found]


@pytest.fixture(scope="module")
def commands() -> Iterator[Path]:
    with scripts() as folder:
        yield folder


@pytest.mark.long
@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_block_runs(
    page: Path, commands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    shutil.copy(
        PHOTO, tmp_path / "photo.png"
    )  # the pages speak of a photograph of the reader's own
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # as for a script in that folder
    run_page(page.read_text(), tmp_path, page.relative_to(ROOT).as_posix(), commands)


def nav_pages(nav: object) -> set[str]:
    """The files that a navigation names, however deep."""
    match nav:
        case str():
            return {nav}
        case list():
            return set[str]().union(*map(nav_pages, nav))
        case dict():
            return set[str]().union(*map(nav_pages, nav.values()))
        case _:
            raise TypeError(f"no navigation: {nav!r}")


def linked_pages(index: Path) -> set[str]:
    """The pages that an index links to, as paths in the docs."""
    targets = re.findall(r"\]\(([^)#:]+\.md)\)", index.read_text())
    return {(index.parent / target).resolve().relative_to(DOCS).as_posix() for target in targets}


def test_every_page_is_in_the_navigation_or_linked_from_its_index() -> None:
    listed = nav_pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    indexed = set[str]().union(
        *(linked_pages(DOCS / page) for page in listed if page.endswith("index.md"))
    )
    existing = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert existing == listed | indexed

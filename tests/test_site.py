"""The site builds, and every code block of its pages is rendered as one."""

import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from archspec.diagnostics.codes import codes

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "mkdocs.yml", folder)
    command = [str(Path(sys.executable).parent / "zensical"), "build", "--strict", "--clean"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "site"


class Prose(HTMLParser):
    """The text of a page outside code, scripts and styles."""

    APART = frozenset({"code", "pre", "script", "style"})

    def __init__(self) -> None:
        super().__init__()
        self.depth = 0
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.depth += tag in self.APART

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag in self.APART

    def handle_data(self, data: str) -> None:
        if not self.depth:
            self.text += data


def raw_fences(html: str) -> list[str]:
    """Return the lines of a built page in which a fence stands as text."""
    prose = Prose()
    prose.feed(html)
    return [line.strip() for line in prose.text.splitlines() if "```" in line or "~~~" in line]


def test_a_raw_fence_is_seen() -> None:
    assert raw_fences("<p>```yaml fail\narchspec: 1\n```</p>") == ["```yaml fail", "```"]
    assert raw_fences("<pre><code>```yaml\n</code></pre><p>fine, <code>```</code></p>") == []


def test_no_page_shows_a_raw_fence(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 80
    shown = {page.relative_to(site).as_posix(): raw_fences(page.read_text()) for page in pages}
    assert {page: lines for page, lines in shown.items() if lines} == {}


def test_the_specs_of_every_error_page_are_highlighted_and_titled(site: Path) -> None:
    for code in codes():
        html = (site / "errors" / code / "index.html").read_text()
        for title in ("fails", "fixed"):
            block = html.partition(f'<span class="filename">{title}</span><pre>')[2]
            assert '<span class="nt">archspec</span>' in block.partition("</pre>")[0], code

"""The runner of documentation blocks, fed pages that are wrong."""

from pathlib import Path

import pytest

from tests.helpers.markdown import blocks, matches, run_page


def page(*parts: str) -> str:
    return "\n".join(parts) + "\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (page("```python", "assert 1 == 2", "```"), ""),
        (page("<!-- expect: 3 -->", "```python", "print(4)", "```"), "does not print '3'"),
        (page("```bash", "false", "```"), "ended with 1, not 0"),
        (page("```bash", "false | true", "```"), "ended with 1, not 0"),
        (page("<!-- exit: 1 -->", "```bash", "true", "```"), "ended with 0, not 1"),
        (page("<!-- expect: b -->", "```bash", "echo a", "```"), "does not print 'b'"),
        (page("```console", "$ echo a", "b", "```"), "does not print what the page shows"),
        (page("```console", "$ false", "$ true", "```"), "`false` ended with 1"),
        (page("```console", "echo a", "```"), "starts with a `$ ` line"),
        (page("```yaml", "a: 1", "```"), "neither run nor written nor excused"),
        (page("```", "a", "```"), "no language"),
        (page("<!-- not run: -->", "```yaml", "a: 1", "```"), "needs a reason"),
        (page("<!-- file: ../a -->", "```yaml", "a: 1", "```"), "outside the page's folder"),
        (page("<!-- expct: a -->", "```bash", "echo a", "```"), "unknown comment 'expct'"),
        (
            page("<!-- expect: a -->", "", "Some words.", "", "```bash", "echo a", "```"),
            "above no block",
        ),
        (page("<!-- expect: a -->"), "above no block"),
        (page("```bash", "echo a"), "does not close"),
        (page("<!-- exit: 0 -->", "<!-- exit: 1 -->", "```bash", "true", "```"), "stated twice"),
    ],
)
def test_a_wrong_page_fails(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=message.replace("$", r"\$") or None):
        run_page(text, tmp_path)


def test_a_right_page_passes_and_its_blocks_build_on_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = page(
        "# Title",
        "<!-- file: sub/a.txt -->",
        "```text",
        "one",
        "```",
        "<!-- expect: one -->",
        "```bash",
        "cat sub/a.txt",
        "```",
        "- a list",
        "",
        "    ```python",
        "    from pathlib import Path",
        "    x = Path('sub/a.txt').read_text()",
        "    ```",
        "",
        "<!-- expect: one -->",
        "~~~python",
        "print(x)",
        "~~~",
        "<!-- exit: 3 -->",
        "```console",
        "$ printf 'a\\nb\\nc\\n'; exit 3",
        "a",
        "...",
        "```",
        "<!-- not run: it only shows the form -->",
        "```yaml",
        "conv: {out: 64}",
        "```",
    )
    assert run_page(text, tmp_path) == 6


def test_a_python_block_that_raises_names_its_line() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run_page(page("", "```python", "1 / 0", "```"), Path(), "page.md")
    assert (caught.traceback[-1].path, caught.traceback[-1].lineno) == ("page.md", 2)


@pytest.mark.parametrize(
    ("shown", "fits"),
    [
        ("a\nb", True),
        ("a", False),
        ("b", False),
        ("a\n...", True),
        ("...\nb", True),
        ("...", True),
        ("a\nb\n...\nc", False),
    ],
)
def test_shown_output_is_compared_whole(shown: str, fits: bool) -> None:
    assert matches("a  \nb\n", shown) is fits


def test_words_after_the_language_are_kept() -> None:
    (block,) = blocks(page('```yaml title="fails" linenums="1"', "a: 1", "```"))
    assert block.info == ("yaml", 'title="fails"', 'linenums="1"')
    assert (block.language, block.title, block.body) == ("yaml", "fails", "a: 1\n")

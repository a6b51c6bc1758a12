"""The command line, called in this process: exit codes, streams and formats that scripts rely on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archspec.cli import COMMANDS, main

GOOD = "archspec: 1\ninput: [3, 8, 8]\nnetwork:\n  - {name: c, conv: {out: 4, kernel: 3}}\n"
BAD = GOOD.replace("kernel: 3", "kernel: 30")


@pytest.fixture
def good(tmp_path: Path) -> str:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    return str(path)


@pytest.fixture
def bad(tmp_path: Path) -> str:
    path = tmp_path / "bad.yaml"
    path.write_text(BAD)
    return str(path)


Captured = pytest.CaptureFixture[str]


def test_check_says_fine_and_exits_0(good: str, capsys: Captured) -> None:
    assert main(["check", good]) == 0
    assert capsys.readouterr().out == f"{good}: fine\n"


def test_check_reports_on_stderr_and_exits_1(bad: str, capsys: Captured) -> None:
    assert main(["check", bad]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "error[AS0304]" in captured.err
    assert f"{bad}:4:" in captured.err


def test_check_reads_several_specs_and_one_bad_one_is_enough(
    good: str, bad: str, capsys: Captured
) -> None:
    assert main(["check", good, bad, good]) == 1
    assert capsys.readouterr().out.count("fine") == 2


def test_check_json_has_the_documented_keys(bad: str, good: str, capsys: Captured) -> None:
    assert main(["check", bad, "--format", "json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    keys = {
        "code",
        "severity",
        "message",
        "file",
        "line",
        "column",
        "end_line",
        "end_column",
        "help",
        "notes",
    }
    assert set(found) == keys
    text = BAD.splitlines()[found["line"] - 1]
    assert text[found["column"] - 1 : found["end_column"] - 1] == "30"
    assert main(["check", good, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_check_github_writes_annotations(bad: str, capsys: Captured) -> None:
    assert main(["check", bad, "--format", "github"]) == 1
    out = capsys.readouterr().out
    assert out.startswith(f"::error file={bad},line=4,")
    assert out.count("\n") == 1


def test_set_changes_a_value_and_a_bad_one_is_an_error(good: str, capsys: Captured) -> None:
    assert main(["stats", good, "--set", "c.out=7", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["params"] == 7 * 3 * 9 + 7
    assert main(["stats", good, "--set", "c.oot=7"]) == 1
    assert "did you mean `out`" in capsys.readouterr().err
    assert main(["stats", good, "--set", "nothing"]) == 1
    assert "AS0002" in capsys.readouterr().err


def test_an_error_of_a_spec_is_json_where_json_was_asked_for(bad: str, capsys: Captured) -> None:
    assert main(["stats", bad, "--format", "json"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["code"] == "AS0304"


@pytest.mark.parametrize("spec", ["gone.yaml", "/gone/net.yaml", "googlenett", ""])
def test_a_spec_that_is_not_there_is_an_error_of_the_data(spec: str, capsys: Captured) -> None:
    assert main(["stats", spec]) == 1
    assert "AS0001" in capsys.readouterr().err


def test_a_shipped_spec_is_found_by_name_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["stats", "googlenet", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["params"] == 6998552


@pytest.mark.parametrize(
    "arguments", [[], ["stats"], ["nothing"], ["stats", "x", "--formt", "json"], ["build", "x"]]
)
def test_wrong_usage_exits_2(arguments: list[str], capsys: Captured) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: archspec" in capsys.readouterr().err


def test_an_unknown_backend_exits_2_and_names_those_there_are(good: str, capsys: Captured) -> None:
    assert main(["build", good, "--backend", "torhc"]) == 2
    assert "did you mean `torch`" in capsys.readouterr().err


def test_a_missing_framework_exits_3_and_names_the_extra(
    good: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "torch" else found(name, *rest),
    )
    assert main(["build", good, "--backend", "torch", "-o", str(tmp_path / "out")]) == 3
    assert "archspec-nn[torch]" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_show_prints_the_resolved_spec_with_origins(
    tmp_path: Path, good: str, capsys: Captured
) -> None:
    variant = tmp_path / "variant.yaml"
    variant.write_text("archspec: 1\nextends: good.yaml\nedit:\n  - set: {c.out: 9}\n")
    assert main(["show", str(variant)]) == 0
    shown = capsys.readouterr().out
    assert "variant.yaml:4" in shown
    assert "good.yaml:2" in shown
    again = tmp_path / "again.yaml"
    again.write_text(shown)
    assert main(["stats", str(again), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["params"] == 9 * 3 * 9 + 9


def test_show_graph_prints_a_layer_a_line(good: str, capsys: Captured) -> None:
    assert main(["show", good, "--graph"]) == 0
    assert "%1 c: conv(out=4, kernel=3) %0 -> 4x6x6" in capsys.readouterr().out


def test_init_writes_a_spec_that_checks_and_never_overwrites(
    tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / "new net.yaml"
    assert main(["init", str(path)]) == 0
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().err.count("warning") == 0
    before = path.read_text()
    assert main(["init", str(path)]) == 1
    assert "there already" in capsys.readouterr().err
    assert path.read_text() == before
    assert main(["init", str(tmp_path / "no" / "folder.yaml")]) == 1


def test_ops_lists_every_op_and_documents_each(capsys: Captured) -> None:
    from archspec.ops import OPS

    assert main(["ops"]) == 0
    listed = capsys.readouterr().out
    for kind, op in OPS.items():
        assert kind in listed
        assert main(["ops", kind]) == 0
        page = capsys.readouterr().out
        assert all(field in page for field in op.model_fields)
    assert main(["ops", "convv"]) == 2
    assert "did you mean `conv`" in capsys.readouterr().err


def test_schema_is_json(capsys: Captured) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["$schema"].startswith("https://json-schema.org/")


def test_explain_prints_a_page_and_knows_its_codes(capsys: Captured) -> None:
    assert main(["explain", "as0301"]) == 0
    assert capsys.readouterr().out.startswith("# AS0301")
    assert main(["explain", "AS9999"]) == 2
    assert "unknown code" in capsys.readouterr().err


def test_every_command_has_help(capsys: Captured) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0
        assert f"archspec {command}" in capsys.readouterr().out


def test_a_fault_of_our_own_shows_no_traceback(
    good: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr("archspec.frontend.loader.read_network", lambda *_, **__: 1 / 0)
    monkeypatch.delenv("ARCHSPEC_TRACEBACK", raising=False)
    assert main(["check", good]) == 70
    err = capsys.readouterr().err
    assert "a fault of archspec itself: ZeroDivisionError" in err
    assert "Traceback" not in err


def test_quiet_keeps_warnings_away(tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(GOOD + "args: {unused: 3}\n")
    assert main(["stats", str(path)]) == 0
    assert "AS0601" in capsys.readouterr().err
    assert main(["stats", str(path), "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_output_is_plain_where_it_is_no_terminal(bad: str, capsys: Captured) -> None:
    main(["check", bad])
    assert "\x1b" not in capsys.readouterr().err

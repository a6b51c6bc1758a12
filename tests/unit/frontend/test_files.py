"""Where specs come from: paths, shipped specs by name, the bounds of `extends`, and files that are no specs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from archspec import SpecError, load
from archspec.compiler import check
from archspec.diagnostics import Diagnostic
from archspec.frontend.files import MAX_EXTENDS, find_spec, shipped_folder
from archspec.frontend.yaml import MAX_BYTES
from tests.helpers.language import marked, net

SPEC = net("- {name: a, relu: }")


def extends(base: str, *lines: str) -> str:
    return "\n".join(["archspec: 1", f"extends: {base}", *lines, ""])


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_yaml", ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def the(path: Path | str, code: str, mark: str | None = None, **options: object) -> Diagnostic:
    _, diagnostics = check(path, **options)  # pyright: ignore[reportArgumentType]
    assert [d.code for d in diagnostics] == [code], diagnostics
    if mark is not None:
        assert marked(diagnostics[0].span) == mark
    return diagnostics[0]


# By name


def test_a_shipped_spec_goes_by_its_name() -> None:
    names = [path.stem for path in shipped_folder().glob("*.yaml")]
    assert "lenet5" in names
    for name in names:
        assert load(name).path == str(shipped_folder() / f"{name}.yaml")


def test_a_file_of_that_name_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lenet5").write_text(SPEC)
    assert load("lenet5").path == "lenet5"


def test_a_folder_of_that_name_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lenet5").mkdir()
    assert load("lenet5").name == load(shipped_folder() / "lenet5.yaml").name
    write(tmp_path, variant_yaml=extends("lenet5"))
    load("variant.yaml")


def test_a_path_is_a_path() -> None:
    assert find_spec("specs/lenet5") == Path("specs/lenet5")
    assert find_spec("lenet5.yml") == Path("lenet5.yml")


def test_a_path_may_be_of_any_type(tmp_path: Path) -> None:
    write(tmp_path, a_yaml=SPEC)
    assert load(tmp_path / "a.yaml").sha256 == load(str(tmp_path / "a.yaml")).sha256


# Files that cannot be read


@pytest.mark.parametrize(
    "name",
    [
        "missing.yaml",
        "missing",
        "no/such/folder.yaml",
        "a" * 300,
        "x" * 300 + ".yaml",
        "a\0b.yaml",
        "\udcff.yaml",
        "",
    ],
)
def test_a_file_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert the(name, "AS0001").message.startswith("cannot read `")


def test_a_file_with_nearly_that_name_is_suggested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, digits_yaml=SPEC)
    assert the("digit.yaml", "AS0001").help == "did you mean `digits.yaml`?"
    assert the("lenet6", "AS0001").help == "did you mean `lenet5`?"


def test_a_folder_is_no_spec(tmp_path: Path) -> None:
    assert "not a file" in the(tmp_path, "AS0001").message
    write(tmp_path, a_yaml=extends("."))
    the(tmp_path / "a.yaml", "AS0409", ".")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    write(tmp_path, a_yaml=SPEC)
    (tmp_path / "a.yaml").chmod(0)
    assert "permission denied" in the(tmp_path / "a.yaml", "AS0001").message


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    write(tmp_path, a_yaml=extends("pipe.yaml"))
    the(tmp_path / "a.yaml", "AS0409", "pipe.yaml")


def test_a_large_file_is_not_read_whole(tmp_path: Path) -> None:
    for fill in ("# x\n" * (MAX_BYTES // 4), "# é\n" * (MAX_BYTES // 5)):
        write(tmp_path, a_yaml=SPEC + fill)
        assert "4 MiB" in the(tmp_path / "a.yaml", "AS0106").message
    write(tmp_path, a_yaml=SPEC + "#" * (MAX_BYTES - len(SPEC) - 1) + "\n")
    load(tmp_path / "a.yaml")


def test_a_spec_and_its_bases_share_their_room(tmp_path: Path) -> None:
    write(
        tmp_path, a_yaml=extends("b.yaml"), b_yaml=SPEC + "#" * (MAX_BYTES - len(SPEC) - 1) + "\n"
    )
    the(tmp_path / "a.yaml", "AS0106", "b.yaml")
    values = "[" + "1, " * 160_000 + "1]"
    write(
        tmp_path, a_yaml=extends("b.yaml", f"labels: {values}"), b_yaml=SPEC + f"labels: {values}\n"
    )
    assert the(tmp_path / "a.yaml", "AS0106").span.source.name.endswith("b.yaml")


def test_a_file_that_ends_in_the_middle_of_a_character(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(SPEC.encode() + b"# \xc3")
    the(tmp_path / "a.yaml", "AS0102")


def test_line_ends_of_every_kind(tmp_path: Path) -> None:
    for end in ("\n", "\r\n", "\r"):
        (tmp_path / "a.yaml").write_bytes(SPEC.replace("\n", end).encode())
        assert len(load(tmp_path / "a.yaml").graph.nodes) == 2
        (tmp_path / "a.yaml").write_bytes(SPEC.replace("relu", "rellu").replace("\n", end).encode())
        assert the(tmp_path / "a.yaml", "AS0203", "rellu").span.line == 4
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbf" + SPEC.encode())
    load(tmp_path / "a.yaml")


# extends


def test_a_base_is_looked_for_beside_the_spec_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        tmp_path,
        main_yaml=extends("sub/middle.yaml"),
        sub__middle_yaml=extends("deep/base.yaml"),
        sub__deep__base_yaml=SPEC,
        # Found from the first spec, or from where the command runs, it would be another one.
        deep__base_yaml=net("- {name: wrong, relu: }"),
        sub__sub__middle_yaml=net("- {name: wrong, relu: }"),
    )
    for folder, path in ((".", "main.yaml"), ("sub", "middle.yaml"), ("sub", "../main.yaml")):
        monkeypatch.chdir(tmp_path / folder)
        assert [node.path for node in load(path).graph.nodes[1:]] == ["a"]


@pytest.mark.parametrize(
    "base",
    [
        "missing.yaml",
        "sub/missing.yaml",
        "a\\b.yaml",
        "'a\\0b.yaml'",
        '"a\\0b.yaml"',
        "x" * 5000,
        "googlenet9",
        "''",
    ],
)
def test_a_base_that_is_not_there(tmp_path: Path, base: str) -> None:
    write(tmp_path, a_yaml=extends(base))
    the(tmp_path / "a.yaml", "AS0409", base)


def test_a_base_with_nearly_that_name_is_suggested(tmp_path: Path) -> None:
    write(tmp_path, a_yaml=extends("bse.yaml"), base_yaml=SPEC)
    assert "base.yaml" in the(tmp_path / "a.yaml", "AS0409", "bse.yaml").help


@pytest.mark.parametrize("base", ["[a.yaml]", "{a: b}", "3", "true"])
def test_a_base_is_a_path(tmp_path: Path, base: str) -> None:
    write(tmp_path, a_yaml=extends(base))
    the(tmp_path / "a.yaml", "AS0204", base)


def test_no_base_is_none(tmp_path: Path) -> None:
    write(tmp_path, a_yaml=SPEC + "extends: ~\n")
    assert [node.path for node in load(tmp_path / "a.yaml").graph.nodes[1:]] == ["a"]


@pytest.mark.parametrize(
    "base",
    [
        "../base.yaml",
        "../inside/../base.yaml",
        "sub/../../base.yaml",
        "{folder}/base.yaml",
        "/etc/passwd",
        "../../../../../../etc/passwd",
        "/dev/zero",
    ],
)
def test_a_base_outside_of_the_folder_is_not_read(tmp_path: Path, base: str) -> None:
    base = base.format(folder=tmp_path)
    write(tmp_path, base_yaml=SPEC, inside__a_yaml=extends(base), inside__sub__b_yaml=SPEC)
    diagnostic = the(tmp_path / "inside/a.yaml", "AS0410", base)
    assert "--include" in diagnostic.help


def test_a_base_outside_is_not_even_looked_for(tmp_path: Path) -> None:
    write(tmp_path, inside__a_yaml=extends("../missing.yaml"))
    the(tmp_path / "inside/a.yaml", "AS0410")


def test_a_folder_may_be_allowed(tmp_path: Path) -> None:
    write(tmp_path, common__base_yaml=SPEC, inside__a_yaml=extends("../common/base.yaml"))
    load(tmp_path / "inside/a.yaml", include=[tmp_path / "common"])
    the(tmp_path / "inside/a.yaml", "AS0410", include=[tmp_path / "inside"])
    the(tmp_path / "inside/a.yaml", "AS0410", include=[tmp_path / "comm"])


def test_a_spec_below_cannot_reach_above_what_was_named(tmp_path: Path) -> None:
    write(
        tmp_path,
        base_yaml=SPEC,
        sub__a_yaml=extends("../base.yaml"),
        main_yaml=extends("sub/a.yaml"),
    )
    load(tmp_path / "main.yaml")
    the(tmp_path / "sub/a.yaml", "AS0410")


def test_a_link_leads_where_it_leads(tmp_path: Path) -> None:
    write(tmp_path, base_yaml=SPEC, inside__a_yaml=extends("link.yaml"), inside__real_yaml=SPEC)
    link = tmp_path / "inside/link.yaml"
    link.symlink_to(tmp_path / "base.yaml")
    the(tmp_path / "inside/a.yaml", "AS0410", "link.yaml")
    link.unlink()
    link.symlink_to("real.yaml")
    load(tmp_path / "inside/a.yaml")
    link.unlink()
    link.symlink_to("link.yaml")
    the(tmp_path / "inside/a.yaml", "AS0409", "link.yaml")


def test_a_linked_folder_leads_where_it_leads(tmp_path: Path) -> None:
    write(tmp_path, away__base_yaml=SPEC, inside__a_yaml=extends("sub/base.yaml"))
    (tmp_path / "inside/sub").symlink_to(tmp_path / "away")
    the(tmp_path / "inside/a.yaml", "AS0410", "sub/base.yaml")


def test_a_linked_spec_finds_its_base_beside_the_file_itself(tmp_path: Path) -> None:
    write(
        tmp_path,
        real__a_yaml=extends("base.yaml"),
        real__base_yaml=SPEC,
        other__base_yaml=SPEC.replace("relu", "tanh"),
    )
    (tmp_path / "other/link.yaml").symlink_to(tmp_path / "real/a.yaml")
    assert load(tmp_path / "other/link.yaml").graph.nodes[1].op.kind == "relu"


def test_a_spec_that_is_a_circle_of_links(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("b.yaml")
    (tmp_path / "b.yaml").symlink_to("a.yaml")
    the(tmp_path / "a.yaml", "AS0001")


def test_specs_in_a_circle_show_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        a_yaml=extends("b.yaml"),
        b_yaml=extends("c.yaml"),
        c_yaml=extends("./sub/../b.yaml"),
        d_yaml=extends("d.yaml"),
        sub__x_yaml="",
    )
    diagnostic = the(tmp_path / "a.yaml", "AS0408", "./sub/../b.yaml")
    assert "b.yaml -> c.yaml -> b.yaml" in diagnostic.message
    assert "d.yaml -> d.yaml" in the(tmp_path / "d.yaml", "AS0408", "d.yaml").message


def test_a_chain_of_specs_has_a_bound(tmp_path: Path) -> None:
    for i in range(MAX_EXTENDS + 2):
        write(tmp_path, **{f"s{i}_yaml": extends(f"s{i + 1}.yaml")})
    write(tmp_path, **{f"s{MAX_EXTENDS}_yaml": SPEC})
    load(tmp_path / "s0.yaml")
    write(
        tmp_path,
        **{
            f"s{MAX_EXTENDS}_yaml": extends(f"s{MAX_EXTENDS + 1}.yaml"),
            f"s{MAX_EXTENDS + 1}_yaml": SPEC,
        },
    )
    assert "more than 20" in the(tmp_path / "s0.yaml", "AS0408", f"s{MAX_EXTENDS + 1}.yaml").message


def test_what_is_wrong_with_a_base_is_told_once(tmp_path: Path) -> None:
    write(tmp_path, a_yaml=extends("b.yaml"), b_yaml="archspec: 1\ninput: [3\n")
    assert the(tmp_path / "a.yaml", "AS0101", "[").span.source.name.endswith("b.yaml")


def test_the_hash_covers_every_file(tmp_path: Path) -> None:
    write(tmp_path, a_yaml=extends("b.yaml"), b_yaml=SPEC)
    before = load(tmp_path / "a.yaml").sha256
    write(tmp_path, b_yaml=SPEC + "# a remark\n")
    assert load(tmp_path / "a.yaml").sha256 != before


def test_a_text_that_changes_is_read_anew(tmp_path: Path) -> None:
    for kind in ("relu", "tanh", "relu"):
        write(tmp_path, a_yaml=SPEC.replace("relu", kind))
        assert load(tmp_path / "a.yaml").graph.nodes[1].op.kind == kind


def test_an_edit_does_not_reach_the_next_reading(tmp_path: Path) -> None:
    write(tmp_path, a_yaml=SPEC)
    assert load(tmp_path / "a.yaml", sets=["a.name=b"]).graph.nodes[1].name == "b"
    assert load(tmp_path / "a.yaml").graph.nodes[1].name == "a"


def test_load_raises_all_that_check_gives(tmp_path: Path) -> None:
    write(tmp_path, a_yaml=SPEC.replace("relu", "rellu") + "lables: [a]\n")
    with pytest.raises(SpecError) as caught:
        load(tmp_path / "a.yaml")
    assert [d.code for d in caught.value.diagnostics] == ["AS0203", "AS0202"]
    assert "error[AS0203] " in str(caught.value)
    assert "unknown op or block `rellu`" in str(caught.value)
    assert "a.yaml:" in str(caught.value)

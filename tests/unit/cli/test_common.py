"""What the commands share: flags that were renamed."""

from __future__ import annotations

import pytest

from archspec.cli import main
from archspec.cli.common import RENAMED_FLAGS, Parser

COMMANDS = {
    "--any-spec": (
        "build lenet5 --backend torch",
        "train lenet5 --data digits",
        "weights import w",
    ),
    "--fresh": ("train lenet5 --data digits",),
    "--held-out": ("train lenet5 --data digits", "eval run"),
    "--report-every": ("train lenet5 --data digits",),
}
"""Where each old flag used to be taken."""


def test_every_renamed_flag_has_commands_to_try_it_on() -> None:
    assert set(COMMANDS) == set(RENAMED_FLAGS)


@pytest.mark.parametrize(
    ("old", "command"), [(old, command) for old, lines in COMMANDS.items() for command in lines]
)
@pytest.mark.parametrize("form", ["{} 1", "{}=1"])
def test_an_old_flag_is_wrong_usage_and_names_the_new_one(
    old: str, command: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rest = ["--spec", "lenet5", "-o", "w.safetensors"] if command.startswith("weights") else []
    with pytest.raises(SystemExit) as caught:
        main([*command.split(), *form.format(old).split(), *rest])
    assert caught.value.code == 2
    message = capsys.readouterr().err.splitlines()[-1]
    name = " ".join(command.split()[: 2 if rest else 1])
    assert message == f"archspec {name}: error: {old} was renamed: use {RENAMED_FLAGS[old]}"


def test_an_unknown_flag_that_a_command_never_had_stays_unrecognized(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["check", "lenet5", "--fresh"])
    assert caught.value.code == 2
    assert "error: unrecognized arguments: --fresh" in capsys.readouterr().err


def test_a_command_that_still_has_the_flag_takes_it() -> None:
    """A backend may give an option of its own a name that was ours."""
    parser = Parser()
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--reinit", action="store_true")
    assert parser.parse_args(["--fresh"]).fresh

"""How a command line ends: exit codes, and one line on stderr for a user's mistake."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import typer

from envsearch.errors import CampaignStoppedError, InputError, MutationRefusedError, ProctorError
from orchestration.cli import main
from orchestration.cli.errors import run_app, user_errors
from orchestration.cli.output import json_value, number_text
from orchestration.runtime.serve import check_port
from orchestration.service.errors import UnavailableError
from orchestration.studies.replay_plot import draw


def raising(error: BaseException) -> typer.Typer:
    app = typer.Typer()

    @app.command()
    def command() -> NoReturn:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (InputError("is wrong", "field", "right", "file.csv"), 2, "error: file.csv: field: is wrong; expected right\n"),
        (MutationRefusedError("no-op\nhere"), 2, "error: no-op here\n"),
        (CampaignStoppedError("healthy population too weak"), 3, "healthy population too weak\n"),
        (ProctorError("Ray did not start"), 1, "error: Ray did not start\n"),
        (
            UnavailableError("the store cannot be used now (locked)"),
            2,
            "error: the store cannot be used now (locked)\n",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/x"),
            2,
            "error: /x: it cannot be used (Permission denied",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "error: it cannot be used (No space left on device)"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/x/y"), 2, "error: /x/y: it cannot be used"),
        (KeyboardInterrupt(), 130, ""),
        (typer.Exit(7), 7, ""),
        (typer.BadParameter("not so"), 2, "error: Invalid value: not so"),
    ],
)
def test_exit_codes(capsys: pytest.CaptureFixture[str], error: BaseException, code: int, text: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run_app(raising(error), [])
    assert ended.value.code == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(text)
    assert captured.err.count("\n") == (1 if text else 0)


def test_success_is_zero() -> None:
    app = typer.Typer()
    app.command()(lambda: None)
    with pytest.raises(SystemExit) as ended:
        run_app(app, [])
    assert ended.value.code == 0


def test_a_defect_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_app(raising(ZeroDivisionError("defect")), [])


def test_works_without_an_app(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, user_errors():
        raise InputError("is wrong")
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: is wrong\n"


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    program = (
        "import typer; from orchestration.cli.errors import run_app; app = typer.Typer();"
        "app.command()(lambda: print('x' * 1_000_000)); run_app(app, [])"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(1)
    process.stdout.close()
    assert process.wait(60) == 1
    assert process.stderr.read() == b""
    process.stderr.close()


def test_json_values_are_strict() -> None:
    import numpy as np

    value = {"a": float("nan"), "b": [np.float64("inf"), np.int64(3), True, None], "c": (np.bool_(False), "x")}
    assert json_value(value) == {"a": None, "b": [None, 3, True, None], "c": [False, "x"]}
    with pytest.raises(TypeError, match="no JSON form"):
        json_value(object())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.59150, "0.592"),
        (-490.61, "-491"),
        (18829.4, "18829"),
        (2.3e-5, "2.3e-05"),
        (4, "4"),
        (1e7, "1.0e+07"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number_text(value) == text


@pytest.mark.parametrize("command", [["campaign", "run"], ["replay"], ["backup"], ["restore"]])
def test_a_name_that_no_file_can_have_is_one_line(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, "a" * 5000])
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["smoke", "http://[::1"], "'http://[::1' is not a URL"),
        (["smoke", "http://\x01"], "is not a URL"),
        (["smoke", "ftp://x"], "'ftp://x' is not a URL"),
        (["smoke", "http://127.0.0.1:1", "--token", "\u00e9"], "a token cannot contain"),
        (["smoke", "http://127.0.0.1:1", "--token", "a\nb"], "a token cannot contain"),
        (["serve", "--host", "", "--store", "PLACE"], "host"),
    ],
)
def test_wrong_addresses_are_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, argv: list[str], text: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "service.db") if argument == "PLACE" else argument for argument in argv])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1


def test_no_address_is_not_every_address() -> None:
    with pytest.raises(InputError, match="the address is empty"):
        check_port("", 1)


def test_a_plot_of_no_known_kind(tmp_path: Path) -> None:
    lines = [("agent", False, np.zeros(3))]
    with pytest.raises(InputError, match=r"--plot: .*zzz"):
        draw([("napfd", lines)], "title", tmp_path / "curves.zzz")

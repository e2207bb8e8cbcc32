"""``proctor classify`` end to end: properties from tidy tables, one line per mistake."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from orchestration.cli.classify import classify
from orchestration.cli.errors import run_app

MATRIX = """environment,algorithm,kill_test,mutant,mass,length,killed
C,ppo,t,NDF,1.0,0.1,True
C,ppo,t,NDF,7.5,0.1,True
C,ppo,t,NDF,1.0,9.25,False
C,ppo,t,PAC_ReLU,1.0,0.1,True
C,ppo,t,PAC_ReLU,7.5,0.1,False
C,ppo,t,PAC_ReLU,1.0,9.25,inconclusive
"""
HIGHER = """environment,algorithm,kill_test,mutant,mass,length,killed,property
C,ppo,t,NDF-PAC_ReLU,7.5,0.1,False,anything
C,ppo,t,NDF-PAC_ReLU,1.0,9.25,False,anything
C,ppo,t,NDF-PAC_ReLU,1.0,0.1,True,anything
"""


@dataclass(frozen=True)
class Ended:
    code: object
    out: str
    err: str


Classify = Callable[..., Ended]


@pytest.fixture
def proctor(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Classify:
    """Runs the command on two texts (or files)."""
    app = typer.Typer()
    app.command()(classify)
    app.command("other")(lambda: None)

    def _run(matrix: str | Path, higher: str | Path, *more: str) -> Ended:
        argv = ["classify"]
        for option, name, content in (("--kill-matrix", "M.csv", matrix), ("--higher-order", "H.csv", higher)):
            path = content if isinstance(content, Path) else tmp_path / name
            if isinstance(content, str):
                path.write_text(content)
            argv += [option, str(path)]
        with pytest.raises(SystemExit) as ended:
            run_app(app, [*argv, *more])
        captured = capsys.readouterr()
        return Ended(ended.value.code, captured.out, captured.err)

    return _run


def rows_of(ended: Ended) -> list[dict[str, Any]]:
    assert (ended.code, ended.err) == (0, "")
    rows = json.loads(ended.out)
    assert isinstance(rows, list)
    return rows


def test_json(proctor: Classify) -> None:
    assert rows_of(proctor(MATRIX, HIGHER, "--format", "json")) == [
        {
            "environment": "C",
            "algorithm": "ppo",
            "kill_test": "t",
            "mutant": "NDF-PAC_ReLU",
            "property_published": "Strongly Subsuming and Coupled",
            "property_strict": "Strongly Subsuming and Coupled",
            "constituents": ["NDF", "PAC_ReLU"],
            "environments": 3,
            "kills": 1,
            "union": 2,
            "intersection": 1,
            "inconclusive": 1,
        }
    ]


def test_table_is_readable_at_100_columns(proctor: Classify) -> None:
    ended = proctor(MATRIX, HIGHER)
    assert ended.code == 0
    assert max(map(len, ended.out.splitlines())) <= 100
    assert "C / ppo, t" in ended.out
    assert "1 (1 unsure)" in ended.out


def test_published_and_strict_differ_where_all_are_killed_alike(proctor: Classify) -> None:
    matrix = MATRIX.replace("7.5,0.1,True", "7.5,0.1,False")
    (row,) = rows_of(proctor(matrix, HIGHER, "--format", "json"))
    assert row["property_published"] == "Strongly Subsuming and Coupled"
    assert row["property_strict"] == "Non-subsuming"


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("9.25", "9.250000000001"),
        lambda text: text.replace("9.25", "925e-2"),
        lambda text: text.replace("True", "1").replace("False", "0"),
        lambda text: text.replace("True", "killed").replace("False", "not killed"),
        lambda text: text.replace("True", "TRUE").replace("False", "Survived"),
        lambda text: text.replace(",property", "").replace(",anything", ""),
        lambda text: "\ufeff" + text.replace("\n", "\r\n"),
    ],
)
def test_tolerates_how_tables_are_written(proctor: Classify, edit: Callable[[str], str]) -> None:
    plain = rows_of(proctor(MATRIX, HIGHER, "--format", "json"))
    assert rows_of(proctor(MATRIX, edit(HIGHER), "--format", "json")) == plain


def test_one_environment_without_coordinates(proctor: Classify) -> None:
    header = "environment,algorithm,kill_test,mutant,killed\n"
    matrix = header + "C,ppo,t,NDF,True\nC,ppo,t,MTS,True\nC,ppo,t,ILF,True\n"
    (row,) = rows_of(proctor(matrix, header + "C,ppo,t,ILF-NDF-MTS,True\n", "--format", "json"))
    assert row["constituents"] == ["ILF", "NDF", "MTS"]
    assert row["property_strict"] == "Non-subsuming"
    assert row["property_published"] == "Strongly Subsuming and Coupled"


def replaced(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("matrix", "higher", "parts"),
    [
        ("", HIGHER, ["M.csv", "empty"]),
        (MATRIX, HIGHER.splitlines()[0], ["H.csv", "only a header"]),
        (replaced(MATRIX, "kill_test", "test"), HIGHER, ["M.csv", "'kill_test' is missing", "'test'"]),
        (MATRIX, replaced(HIGHER, "killed,", "kill,"), ["H.csv", "'killed' is missing", "'kill'"]),
        (replaced(MATRIX, "mass", "weight"), HIGHER, ["H.csv", "coordinates are length, mass", "length, weight"]),
        (replaced(MATRIX, "7.5", "heavy"), HIGHER, ["M.csv", "line 3: mass", "'heavy' is not a number"]),
        (replaced(MATRIX, "inconclusive", "maybe"), HIGHER, ["M.csv", "line 7: killed", "'maybe'", "True or False"]),
        (replaced(MATRIX, "True\nC,ppo,t,NDF,7", "\nC,ppo,t,NDF,7"), HIGHER, ["M.csv", "line 2: killed", "''"]),
        (MATRIX + "C,ppo,t,NDF,1,0.1,False\n", HIGHER, ["M.csv", "line 8", "appears twice", "line 2"]),
        (MATRIX.rsplit("C,", 1)[0], HIGHER, ["M.csv: C/ppo/t", "no outcome for PAC_ReLU in (length 9.25, mass 1)"]),
        (MATRIX, HIGHER.rsplit("C,", 1)[0], ["H.csv: C/ppo/t", "(length 0.1, mass 1)", "M.csv is missing"]),
        (MATRIX, replaced(HIGHER, "7.5", "7.6"), ["H.csv: C/ppo/t", "(length 0.1, mass 7.6) is not in", "M.csv"]),
        (MATRIX, replaced(HIGHER, "PAC_ReLU", "MTS"), ["H.csv: C/ppo/t", "constituent 'MTS' of 'NDF-MTS'"]),
        (MATRIX, replaced(HIGHER, "-PAC_ReLU", ""), ["H.csv: C/ppo/t", "'NDF' has no constituents"]),
        (MATRIX, replaced(HIGHER, "PAC_ReLU", "NDF"), ["H.csv: C/ppo/t", "twice"]),
        (MATRIX, replaced(HIGHER, "ppo", "a2c"), ["H.csv", "C/a2c/t is not in", "M.csv", "one of C/ppo/t"]),
        (Path("none.csv"), HIGHER, ["none.csv", "no such file"]),
    ],
)
def test_mistakes_end_with_one_line(proctor: Classify, matrix: str | Path, higher: str, parts: list[str]) -> None:
    ended = proctor(matrix, higher, "--format", "json")
    assert ended.code == 2
    assert ended.out == ""
    assert len(ended.err.splitlines()) == 1
    for part in parts:
        assert part in ended.err


def test_published_properties_are_reproduced(proctor: Classify, proctor_data: Path) -> None:
    published = proctor_data / "published"
    higher = published / "cartpole_higher_order.csv"
    rows = rows_of(proctor(published / "cartpole_kill_matrices.csv", higher, "--format", "json"))
    keys = ("environment", "algorithm", "kill_test", "mutant")
    properties = {tuple(row[key] for key in keys): row["property_published"] for row in rows}
    with higher.open(newline="") as file:
        expected = {tuple(line[key] for key in keys): line["property"] for line in csv.DictReader(file)}
    assert len(expected) == 6
    assert properties == expected

"""``proctor judge`` end to end: strict JSON, readable tables, one line per mistake."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from mutations.killing.registry import KILL_TESTS
from orchestration.cli.errors import run_app
from orchestration.cli.judge import judge

HEADER = "environment,algorithm,mutant,seed,mean_reward"


@dataclass(frozen=True)
class Ended:
    code: object
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not strict JSON")

        rows = json.loads(self.out, parse_constant=refuse)
        assert isinstance(rows, list)
        return rows


Proctor = Callable[..., Ended]


@pytest.fixture
def proctor(capsys: pytest.CaptureFixture[str]) -> Proctor:
    app = typer.Typer()
    app.command()(judge)
    app.command("other")(lambda: None)

    def _run(*argv: object) -> Ended:
        with pytest.raises(SystemExit) as ended:
            run_app(app, ["judge", *map(str, argv)])
        captured = capsys.readouterr()
        return Ended(ended.value.code, captured.out, captured.err)

    return _run


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two families; NDF is far worse, R_1.0 identical, NA (a name) far better."""
    lines = [HEADER]
    for algorithm in ("ppo", "a2c"):
        for mutant, shift in (("Healthy", 0.0), ("R_1.0", 0.0), ("NDF", -300.0), ("NA", 300.0)):
            lines += [f"C,{algorithm},{mutant},{seed},{400 + seed * 7 % 5 + shift}" for seed in range(12)]
    path = tmp_path / "rewards.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_json_has_one_object_per_mutant_and_test_in_input_order(proctor: Proctor, table: Path) -> None:
    ended = proctor("--table", table, "--format", "json")
    assert (ended.code, ended.err) == (0, "")
    keys = [(row["environment"], row["algorithm"], row["mutant"], row["test"]) for row in ended.rows]
    mutants = ("R_1.0", "NDF", "NA")
    assert keys == [("C", alg, mutant, test) for alg in ("ppo", "a2c") for mutant in mutants for test in KILL_TESTS]
    wanted = {"outcome", "direction", "statistic", "p_value", "effect_size", "power"}
    assert all(wanted <= set(row) for row in ended.rows)


def test_reliability_is_in_table_and_json(proctor: Proctor, table: Path) -> None:
    rows = proctor("--table", table, "--test", "average_ratio", "--format", "json").rows
    worse, better = (next(row for row in rows if row["mutant"] == mutant) for mutant in ("NDF", "NA"))
    assert (worse["improvement"], better["improvement"]) == (0.0, 1.0)
    assert worse["iqm_low"] <= worse["iqm"] <= worse["iqm_high"]
    assert better["iqm"] - worse["iqm"] == pytest.approx(600.0)
    again = proctor("--table", table, "--test", "average_ratio", "--format", "json", "--seed", 0)
    assert again.rows == rows
    printed = proctor("--table", table, "--test", "average_ratio").out
    assert printed.count("Reliability, with 95 % bootstrap intervals") == 2
    assert re.search(r"Healthy +402 +40[0-9.]+ to 40[0-9.]+ +- +-", printed)
    assert re.search(r"NDF +102 +10[0-9.]+ to 10[0-9.]+ +0 +0 to 0", printed)


def test_power_is_labelled_in_table_and_json(proctor: Proctor, table: Path) -> None:
    tests = ("--test", "average_ratio", "--test", "paired_permutation", "--test", "margin_permutation")
    rows = proctor("--table", table, *tests, "--format", "json").rows
    labels = {row["test"]: row["power_label"] for row in rows}
    assert labels["average_ratio"] is None
    assert labels["paired_permutation"].startswith("uncorrected")
    assert labels["margin_permutation"].startswith("corrected")
    printed = proctor("--table", table, *tests).out.splitlines()
    lines = [line for line in printed if line.startswith("power of ")]
    assert lines == [f"power of {test}: {label}" for test, label in labels.items() if label]


def test_verdicts_and_directions(proctor: Proctor, table: Path) -> None:
    rows = proctor("--table", table, "--test", "paired_permutation", "--format", "json").rows
    by_mutant = {row["mutant"]: (row["outcome"], row["direction"]) for row in rows if row["algorithm"] == "ppo"}
    assert by_mutant["NDF"] == ("killed", "worse")
    assert by_mutant["NA"] == ("killed", "better")
    assert by_mutant["R_1.0"][0] != "killed"
    assert by_mutant["R_1.0"][1] == "equal"


def test_average_ratio_gives_a_number_and_no_outcome(proctor: Proctor, table: Path) -> None:
    rows = proctor("--table", table, "--test", "average_ratio", "--format", "json").rows
    assert [row["statistic"] for row in rows] == [0.0, 1.0, 0.0] * 2
    assert {row["outcome"] for row in rows} == {None}


def test_a_correction_is_over_one_family(proctor: Proctor, table: Path) -> None:
    """The same mutants of another algorithm do not make a family larger."""
    both = proctor("--table", table, "--test", "paired_permutation", "--format", "json").rows
    kept = [line for line in table.read_text().splitlines() if ",a2c," not in line]
    table.write_text("\n".join(kept))
    alone = proctor("--table", table, "--test", "paired_permutation", "--format", "json").rows
    assert alone == both[: len(alone)]
    kept = [line for line in kept if ",NA," not in line]
    table.write_text("\n".join(kept))
    fewer = proctor("--table", table, "--test", "paired_permutation", "--format", "json").rows
    assert fewer[1]["mutant"] == "NDF"
    assert fewer[1]["p_value"] < alone[1]["p_value"]


def test_same_seed_same_bits_and_repeats_tell_their_agreement(proctor: Proctor, table: Path) -> None:
    arguments = ("--table", table, "--test", "distance_distribution", "--repeats", 5, "--format", "json")
    first = proctor(*arguments, "--seed", 3)
    assert first.out == proctor(*arguments, "--seed", 3).out
    assert first.out != proctor(*arguments, "--seed", 4).out
    assert all(0.2 <= row["agreement"] <= 1 for row in first.rows)


def test_table_is_readable_at_100_columns(proctor: Proctor, table: Path) -> None:
    ended = proctor("--table", table, "--repeats", 2)
    assert ended.code == 0
    assert max(map(len, ended.out.splitlines())) <= 100
    for words in ("C / ppo: 12 agents per population", "C / a2c", "NDF", *KILL_TESTS, "killed", "better"):
        assert words in ended.out, f"{words!r} is not on one line of the table"


def test_pair_of_files(proctor: Proctor, tmp_path: Path) -> None:
    names = ";".join(f"pred_rewards_model_{index}" for index in range(10))
    for name, shift in (("results_Healthy.csv", 400), ("results_ILF.csv", 10)):
        values = ";".join(str(float(shift + index)) for index in range(10))
        (tmp_path / name).write_text(f" ;{names}\r\n;{values}\r\n")
    ended = proctor(
        "--healthy", tmp_path / "results_Healthy.csv", "--mutant", tmp_path / "results_ILF.csv", "--format", "json"
    )
    assert ended.code == 0
    assert {row["mutant"] for row in ended.rows} == {"ILF"}
    assert {row["environment"] for row in ended.rows} == {None}
    assert {row["outcome"] for row in ended.rows} == {"killed", None}
    table = proctor("--healthy", tmp_path / "results_Healthy.csv", "--mutant", tmp_path / "results_ILF.csv")
    assert "10 agents per population" in table.out


def test_independent_populations_may_differ_in_size_and_seeds(proctor: Proctor, table: Path) -> None:
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*(line for line in lines if ",NDF,3," not in line), "C,ppo,NDF,99,101"]))
    rows = proctor("--table", table, "--test", "margin_permutation", "--format", "json").rows
    sizes = {(row["algorithm"], row["mutant"]): (row["n_healthy"], row["n_mutant"]) for row in rows}
    assert (sizes["ppo", "NDF"], sizes["a2c", "NDF"], sizes["a2c", "NA"]) == ((12, 12), (12, 11), (12, 12))
    assert {row["outcome"] for row in rows if row["mutant"] == "NDF"} == {"killed"}
    printed = proctor("--table", table, "--test", "margin_permutation")
    assert "C / a2c: 12 healthy agents" in printed.out
    assert_refused(proctor("--table", table), [str(table), "C/ppo/NDF", "seed"])


def test_two_files_of_different_sizes(proctor: Proctor, tmp_path: Path) -> None:
    for name, size in (("healthy.csv", 12), ("mutant.csv", 8)):
        (tmp_path / name).write_text("\n".join(str(100.0 * size + index) for index in range(size)))
    files = ("--healthy", tmp_path / "healthy.csv", "--mutant", tmp_path / "mutant.csv")
    (row,) = proctor(*files, "--test", "margin_permutation", "--format", "json").rows
    assert (row["outcome"], row["direction"], row["n_healthy"], row["n_mutant"]) == ("killed", "worse", 12, 8)
    assert proctor(*files).code == 2


@pytest.mark.parametrize(
    ("edit", "parts"),
    [
        (lambda text: "", ["empty"]),
        (lambda text: HEADER, ["only a header"]),
        (lambda text: text.replace("mean_reward", "reward"), ["line 1", "'mean_reward' is missing", "'reward'"]),
        (lambda text: text.replace(",401.0\n", ",NaN\n", 1), ["line ", "mean_reward", "'NaN'"]),
        (lambda text: text.replace("C,ppo,NDF,0,100.0\n", ""), ["C/ppo/NDF has 11 agents", "12"]),
        (lambda text: text.replace("Healthy", "Sane"), ["no healthy rows"]),
        (lambda text: f"{HEADER}\nC,ppo,Healthy,0,5\nC,ppo,NDF,0,5", ["C/ppo/NDF", "1 agents", "at least 2"]),
    ],
)
def test_bad_tables_end_with_one_line(
    proctor: Proctor, table: Path, edit: Callable[[str], str], parts: list[str]
) -> None:
    table.write_text(edit(table.read_text()))
    assert_refused(proctor("--table", table, "--format", "json"), [str(table), *parts])


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["--table", "--healthy", "--mutant"]),
        (["--healthy", "a.csv"], ["--mutant"]),
        (["--table", "a.csv", "--mutant", "b.csv"], ["--table"]),
        (["--table", "no such.csv"], ["no such.csv", "no such file"]),
        (["--table", "a.csv", "--test", "reward_distributoin"], ["--test", "did you mean 'reward_distribution'"]),
        (["--table", "a.csv", "--repeats", "0"], ["--repeats"]),
        (["--table", "a.csv", "--seed", "-1"], ["--seed"]),
        (["--table", "a.csv", "--format", "xml"], ["--format", "json", "table"]),
        (["--tabel", "a.csv"], ["--tabel"]),
    ],
)
def test_bad_command_lines_end_with_one_line(proctor: Proctor, arguments: list[str], parts: list[str]) -> None:
    assert_refused(proctor(*arguments), parts)


def test_a_test_by_import_path(proctor: Proctor, table: Path) -> None:
    name = "mutations.killing.average_ratio:AverageRatio"
    rows = proctor("--table", table, "--test", name, "--format", "json").rows
    assert {row["test"] for row in rows} == {"average_ratio"}


def assert_refused(ended: Ended, parts: list[str]) -> None:
    assert ended.code == 2
    assert ended.out == ""
    assert len(ended.err.splitlines()) == 1
    assert "Traceback" not in ended.err
    for part in parts:
        assert part in ended.err


def test_published_verdicts_are_reproduced(proctor: Proctor, proctor_data: Path) -> None:
    published = proctor_data / "published"
    rows = proctor("--table", published / "cartpole_rewards.csv", "--repeats", 3, "--format", "json").rows
    by_key = {(row["environment"], row["algorithm"], row["mutant"], row["test"]): row for row in rows}
    agreeing = {"average_ratio": 0, "reward_distribution": 0, "distance_distribution": 0}
    with (published / "cartpole_verdicts.csv").open(newline="") as file:
        for line in csv.DictReader(file):
            key = (line["environment"], line["algorithm"], line["mutant"])
            ratio = by_key[(*key, "average_ratio")]["statistic"]
            agreeing["average_ratio"] += ratio == pytest.approx(float(line["average_ratio"]))
            for test in ("reward_distribution", "distance_distribution"):
                outcome = line[test].replace("not killed", "survived")
                agreeing[test] += by_key[(*key, test)]["outcome"] == outcome
    assert agreeing == dict.fromkeys(agreeing, 34)

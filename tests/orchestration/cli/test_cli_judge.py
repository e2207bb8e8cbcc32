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
    ended = proctor("--table", table, "--test", "all", "--format", "json")
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
    assert printed.count("reliability, with 95 % bootstrap intervals") == 2
    assert re.search(r"Healthy +402 +40[0-9.]+ to 40[0-9.]+ +- +-", printed)
    assert re.search(r"NDF +102 +10[0-9.]+ to 10[0-9.]+ +0 +0 to 0", printed)


def test_power_is_labelled_in_table_and_json(proctor: Proctor, table: Path) -> None:
    names = ("average_ratio", "paired_permutation", "margin_permutation", "reward_distribution")
    tests = [argument for name in names for argument in ("--test", name)]
    rows = proctor("--table", table, *tests, "--format", "json").rows
    labels = {row["test"]: row["power_label"] for row in rows}
    assert labels == {
        "average_ratio": None,
        "paired_permutation": "corrected, at a shift of 0.8 sd",
        "margin_permutation": "corrected, at the margin",
        "reward_distribution": "uncorrected, at the observed effect, as published",
    }
    printed = proctor("--table", table, *tests).out.splitlines()
    lines = [line for line in printed if line.startswith("power: ")]
    assert lines == 2 * [f"power: {label}" for label in labels.values() if label]


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


def test_a_correction_is_over_everything_that_is_reported(proctor: Proctor, table: Path) -> None:
    """p-values stay; adjusted ones know of the other algorithm, the other mutants and the other tests."""
    arguments = ("--table", table, "--format", "json", "--error-control", "familywise")
    both = proctor(*arguments, "--test", "paired_permutation").rows
    tests = ("paired_permutation", "margin_permutation")
    rows = proctor(*arguments, *(word for test in tests for word in ("--test", test))).rows
    wider = [row for row in rows if row["test"] == tests[0]]
    kept = [line for line in table.read_text().splitlines() if ",a2c," not in line]
    table.write_text("\n".join(kept))
    alone = proctor(*arguments, "--test", "paired_permutation").rows
    assert [row["p_value"] for row in alone] == [row["p_value"] for row in both[: len(alone)]]
    smallest = [min(row["p_adjusted"] for row in rows if row["mutant"] == "NDF") for rows in (alone, both, wider)]
    assert smallest[0] < smallest[1] < smallest[2]
    assert [min(row["level"] for row in rows) for rows in (alone, both)] == pytest.approx([0.032 / 2, 0.032 / 3])


def test_the_control_is_named_and_chosen(proctor: Proctor, table: Path) -> None:
    shown = " ".join(proctor("--table", table).out.split())
    assert "6 comparisons corrected together (false_discovery, Benjamini-Hochberg): 4 killed." in shown
    assert "(familywise, Holm)" in proctor("--table", table, "--error-control", "familywise").out
    refused = proctor("--table", table, "--error-control", "family")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "--error-control" in refused.err


def test_same_seed_same_bits_and_repeats_tell_their_agreement(proctor: Proctor, table: Path) -> None:
    arguments = ("--table", table, "--test", "distance_distribution", "--repeats", 5, "--format", "json")
    first = proctor(*arguments, "--seed", 3)
    assert first.out == proctor(*arguments, "--seed", 3).out
    assert first.out != proctor(*arguments, "--seed", 4).out
    assert all(0.2 <= row["agreement"] <= 1 for row in first.rows)


def test_table_is_readable_at_100_columns(proctor: Proctor, table: Path) -> None:
    ended = proctor("--table", table, "--test", "all", "--repeats", 2)
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
        *("--healthy", tmp_path / "results_Healthy.csv", "--mutant", tmp_path / "results_ILF.csv"),
        *("--test", "all", "--format", "json"),
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
    rows = proctor("--table", table, "--format", "json").rows
    sizes = {(row["algorithm"], row["mutant"]): (row["n_healthy"], row["n_mutant"]) for row in rows}
    assert (sizes["ppo", "NDF"], sizes["a2c", "NDF"], sizes["a2c", "NA"]) == ((12, 12), (12, 11), (12, 12))
    assert {row["outcome"] for row in rows if row["mutant"] == "NDF"} == {"killed"}
    printed = proctor("--table", table)
    assert "C / a2c: 12 healthy agents" in printed.out
    line = [str(table), "C/ppo/NDF", "seed", "only tests that do not compare pairs (margin_permutation)"]
    assert_refused(proctor("--table", table, "--test", "all"), line)


def test_two_files_of_different_sizes(proctor: Proctor, tmp_path: Path) -> None:
    for name, size in (("healthy.csv", 12), ("mutant.csv", 8)):
        (tmp_path / name).write_text("\n".join(str(100.0 * size + index) for index in range(size)))
    files = ("--healthy", tmp_path / "healthy.csv", "--mutant", tmp_path / "mutant.csv")
    (row,) = proctor(*files, "--format", "json").rows
    assert (row["outcome"], row["direction"], row["n_healthy"], row["n_mutant"]) == ("killed", "worse", 12, 8)
    for pairs in (("--paired",), ("--test", "paired_permutation"), ("--test", "all")):
        assert_refused(proctor(*files, *pairs), ["8 agents", "12", "populations of the same size, or only tests"])


def test_the_default_is_the_margin_test_with_its_numbers(proctor: Proctor, table: Path) -> None:
    rows = proctor("--table", table, "--format", "json").rows
    assert {row["test"] for row in rows} == {"margin_permutation"}
    by_mutant = {row["mutant"]: row for row in rows if row["algorithm"] == "ppo"}
    ndf, same, better = (by_mutant[name] for name in ("NDF", "R_1.0", "NA"))
    assert (ndf["outcome"], ndf["counts_as_kill"], ndf["difference"]) == ("killed", True, -300.0)
    assert ndf["difference_low"] < -300.0 < ndf["difference_high"]
    assert ndf["margin"] == pytest.approx(0.05 * 401.9, abs=0.01)
    assert (ndf["collapsed_healthy"], ndf["collapsed_mutant"]) == (0.0, 1.0)
    assert (same["outcome"], same["agents_for_equivalence"]) == ("inconclusive", 59)
    assert (better["outcome"], better["direction"], better["counts_as_kill"]) == ("killed", "better", False)
    printed = proctor("--table", table)
    assert max(map(len, printed.out.splitlines())) <= 100
    for words in ("difference [95 %]", "-300 [-30", "100 %, 0 %", "survival needs about 59 agents per population"):
        assert words in printed.out
    assert "NA better" in " ".join(printed.out.split()), "shown apart from the kills"


def test_margins_of_the_command_line(proctor: Proctor, table: Path) -> None:
    """Twelve equal agents show that less than 25 % collapse: .75^12 = .032."""
    wide = ("--margin-mean", 0.25, "--margin-collapsed", 0.3, "--scale", 400)
    rows = proctor("--table", table, *wide, "--format", "json").rows
    same = next(row for row in rows if row["mutant"] == "R_1.0")
    assert (same["outcome"], same["margin"]) == ("survived", 100.0)


def test_pairs_on_request(proctor: Proctor, table: Path) -> None:
    rows = proctor("--table", table, "--paired", "--format", "json").rows
    assert {row["test"] for row in rows} == {"paired_margin_permutation"}
    assert {row["outcome"] for row in rows if row["mutant"] == "NDF"} == {"killed"}


def test_dead_agents_in_a_table(proctor: Proctor, table: Path) -> None:
    text = "\n".join(line for line in table.read_text().splitlines() if ",ppo,NDF," not in line)
    table.write_text("\n".join([text, *(f"C,ppo,NDF,{seed},-inf" for seed in range(12))]))
    rows = proctor("--table", table, "--format", "json").rows
    crashed = next(row for row in rows if row["mutant"] == "NDF" and row["algorithm"] == "ppo")
    assert (crashed["outcome"], crashed["p_value"], crashed["n_mutant"]) == ("killed", None, 12)
    assert "killed by crash: all 12 agents died" in proctor("--table", table).out
    assert_refused(proctor("--table", table, "--test", "paired_permutation"), ["C/ppo/NDF", "-inf", "not finite"])


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
    assert_refused(proctor("--table", table, "--test", "all", "--format", "json"), [str(table), *parts])


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["--table", "--healthy", "--mutant"]),
        (["--healthy", "a.csv"], ["--mutant"]),
        (["--table", "a.csv", "--mutant", "b.csv"], ["--table"]),
        (["--table", "no such.csv"], ["no such.csv", "no such file"]),
        (["--table", "a.csv", "--test", "reward_distributoin"], ["--test", "did you mean 'reward_distribution'"]),
        (["--table", "a.csv", "--margin-mean", "5"], ["--margin-mean", "5.0 is not a margin", "a share in (0, 1)"]),
        (["--table", "a.csv", "--scale", "-1"], ["--scale", "-1.0 is not a scale", "a positive number"]),
        (["--table", "a.csv", "--test", "average_ratio", "--scale", "1"], ["--scale", "average_ratio takes margins"]),
        (["--table", "a.csv", "--test", "average_ratio", "--paired"], ["--paired", "average_ratio"]),
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
    every = ("--test", "all", "--repeats", 3)
    rows = proctor("--table", published / "cartpole_rewards.csv", *every, "--format", "json").rows
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

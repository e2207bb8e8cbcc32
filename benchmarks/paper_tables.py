"""The tables of docs/paper.md from results/paper: published verdicts and boundaries next to this project's.

    python -m benchmarks.paper_tables results/paper

`python -m benchmarks.paper_tables results/paper --take HOME/campaigns/RUN_ID cartpole_ppo` copies a finished campaign's
tables there, without the places of the machine that ran it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from orchestration.campaign.steps.comparison import RATIO_TOLERANCE, agreement, agrees

TABLES = (
    *("populations", "verdicts", "rewards", "boundary_environments", "boundary_probes", "kill_matrix"),
    "boundary_edges",
    *("kill_matrix_verdicts", "higher_order", "score", "published_comparison", "published_boundaries", "provenance"),
    *("reliability", "performance_profiles"),
)
CALIBRATED = ("margin_permutation", "paired_permutation")
"""Tests whose verdict is the last column: the default, and that of the tables of 0.1."""

PAIRS = ("cartpole_ppo", "cartpole_a2c", "cartpole_dqn")
LEVEL = 0.05
"""From this p-value on Fisher's exact test cannot distinguish two average ratios; that is not agreement."""

FIGURES = ("estimate", "low", "high", "accepted_until", "rejected_from")
"""Columns of an edge."""

SIGNS = {"killed": "K", "survived": "N", "inconclusive": "?"}


def take(campaign: Path, target: Path) -> None:
    """Copy a campaign's tables; the store's place stays behind."""
    target.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        source = campaign / "report" / f"{name}.csv"
        if not source.exists():
            continue
        lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not (name == "provenance" and line.startswith("store,"))]
        (target / f"{name}.csv").write_text("".join(kept), encoding="utf-8")


def compared(folder: Path) -> list[dict[str, Any]]:
    """The rows of a campaign's comparison with the published figures; numbers where figures are numbers."""
    table = pd.read_csv(folder / "published_comparison.csv", dtype=str).astype(object)
    rows = [
        {str(key): value for key, value in row.items()} for row in table.where(table.notna(), None).to_dict("records")
    ]
    for row in rows:
        if row["test"] == "average_ratio":
            numbers = ("published", "ours", "fisher_p")
            row.update({name: None if row.get(name) is None else float(row[name]) for name in numbers})
    return rows


def comparison(folder: Path) -> str:
    """One line per mutant: published and our outcome of each published test, and the verdict of a `CALIBRATED` test."""
    rows = compared(folder)
    verdicts = pd.read_csv(folder / "verdicts.csv")
    populations = pd.read_csv(folder / "populations.csv").set_index("mutant")
    judging = next(test for test in CALIBRATED if test in set(verdicts["test"]))
    calibrated = verdicts[verdicts["test"] == judging].set_index("mutant")
    cells = {(row["mutant"], row["test"]): _cell(row) for row in rows}
    tests = list(dict.fromkeys(row["test"] for row in rows))
    lines = [
        f"| mutant | mean reward | {' | '.join(f'{test} (published / ours)' for test in tests)} | calibrated |",
        "|" + "---|" * (len(tests) + 3),
    ]
    for mutant in dict.fromkeys(str(row["mutant"]) for row in rows):
        name = _named(mutant, [str(each) for each in populations.index])
        judged = judged_as(name, populations)
        verdict = calibrated.loc[judged, "outcome"] if judged in calibrated.index else "–"
        mean = str(round(float(str(populations.loc[name, "mean_reward"])))) if name in populations.index else "–"
        shown = " | ".join(cells[mutant, test] for test in tests)
        lines.append(f"| {mutant} | {mean} | {shown} | {_sign(str(verdict))} |")
    counts = agreement(rows)
    agreeing = ", ".join(f"{test} {counts[test][0]}/{counts[test][1]}" for test in tests)
    return "\n".join([*lines, "", f"Agreement: {agreeing}."])


def judged_as(name: str, populations: pd.DataFrame) -> str:
    """The mutant that has the verdicts: another one where both have the same agents."""
    if "same_agents_as" not in populations.columns:
        return name
    same = populations["same_agents_as"].dropna()
    return str(same.get(name, name))


def total(folders: Iterable[Path]) -> str:
    """The agreement over several campaigns, one sentence."""
    counts = agreement([row for folder in folders for row in compared(folder)])
    agreeing, of = (sum(count[side] for count in counts.values()) for side in (0, 1))
    tolerance = f"{RATIO_TOLERANCE:g}".removeprefix("0")
    within = {"average_ratio": f" within {tolerance}"}
    parts = [f"`{test}`{within.get(test, '')}: {count[0]} of {count[1]}" for test, count in counts.items()]
    return f"{agreeing} of {of} cases ({'; '.join(parts)})"


def _cell(row: dict[str, Any]) -> str:
    """Published and our figure; bold where they differ, with a dagger where Fisher's test cannot distinguish them."""
    text = f"{_sign(str(row['published']))} / {_sign(str(row['ours']))}"
    if agrees(row["published"], row["ours"]):
        return text
    p_value = row.get("fisher_p")
    return f"**{text}**" + ("" if p_value is None or p_value < LEVEL else " †")


def edges(folder: Path) -> str:
    """The edges of behaviour; nothing where they were not searched."""
    path = folder / "boundary_edges.csv"
    if not path.exists():
        return ""
    lines = [
        "| moved | parameter | edge | 95 % interval | accepted until | rejected from |",
        "|---|---|---|---|---|---|",
    ]
    for row in pd.read_csv(path).to_dict("records"):
        figures = {name: "–" if pd.isna(row[name]) else f"{row[name]:.3g}" for name in FIGURES}
        interval = f"{figures['low']} to {figures['high']}"
        ends = f"{figures['accepted_until']} | {figures['rejected_from']}"
        lines.append(f"| {row['direction']} | {row['parameter']} | {figures['estimate']} | {interval} | {ends} |")
    return "\n".join(lines)


def boundaries(folder: Path) -> str:
    """Published and our boundary of each search by a published test; nothing where there was none."""
    path = folder / "published_boundaries.csv"
    if not path.exists() or pd.read_csv(path).empty:
        return ""
    lines = ["| kill test | moved | parameter | published | ours |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.kill_test} | {row.moved} | {row.parameter} | {row.published:.3g} | {row.ours:.3g} |"
        for row in pd.read_csv(path).itertuples()
    ]
    return "\n".join(lines)


def _named(mutant: str, names: list[str]) -> str:
    return next((name for name in names if name.split("[")[0] == mutant), mutant)


def _sign(value: str) -> str:
    return SIGNS.get(value, value)


def main() -> None:
    """Print Markdown, or take a campaign's tables over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--take", nargs=2, metavar=("CAMPAIGN", "NAME"))
    arguments = parser.parse_args()
    if arguments.take:
        take(Path(arguments.take[0]), arguments.folder / arguments.take[1])
        return
    for pair in PAIRS:
        for name in (pair, f"{pair}_published"):
            folder = arguments.folder / name
            if (folder / "published_comparison.csv").exists():
                parts = (f"### {name}", comparison(folder), boundaries(folder), edges(folder))
                print("\n\n".join(part for part in parts if part) + "\n")
    print(total(arguments.folder / pair for pair in PAIRS))


if __name__ == "__main__":
    main()

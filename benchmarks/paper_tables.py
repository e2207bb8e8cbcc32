"""The tables of docs/paper.md from results/paper: published verdicts and boundaries next to this project's.

    python -m benchmarks.paper_tables results/paper

`python -m benchmarks.paper_tables results/paper --take HOME/campaigns/RUN_ID cartpole_ppo` copies a finished campaign's
tables there, without the places of the machine that ran it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

TABLES = (
    *("populations", "verdicts", "rewards", "boundary_environments", "boundary_probes", "kill_matrix"),
    *("kill_matrix_verdicts", "higher_order", "score", "published_comparison", "published_boundaries", "provenance"),
)
PAIRS = ("cartpole_ppo", "cartpole_a2c", "cartpole_dqn")
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


def comparison(folder: Path) -> str:
    """One line per mutant: published and our outcome of each published test, and the calibrated verdict."""
    compared = pd.read_csv(folder / "published_comparison.csv", dtype=str)
    verdicts = pd.read_csv(folder / "verdicts.csv")
    populations = pd.read_csv(folder / "populations.csv").set_index("mutant")
    calibrated = verdicts[verdicts["test"] == "paired_permutation"].set_index("mutant")
    tests = list(dict.fromkeys(compared["test"]))
    lines = [
        f"| mutant | mean reward | {' | '.join(f'{test} (published / ours)' for test in tests)} | calibrated |",
        "|" + "---|" * (len(tests) + 3),
    ]
    for mutant in dict.fromkeys(str(each) for each in compared["mutant"]):
        cells = []
        for test in tests:
            row = compared[(compared["mutant"] == mutant) & (compared["test"] == test)].iloc[0]
            cell = f"{_sign(str(row['published']))} / {_sign(str(row['ours']))}"
            cells.append(cell if row["agree"] == "True" else f"**{cell}**")
        name = _named(str(mutant), [str(each) for each in populations.index])
        verdict = calibrated.loc[name, "outcome"] if name in calibrated.index else "–"
        mean = str(round(float(str(populations.loc[name, "mean_reward"])))) if name in populations.index else "–"
        lines.append(f"| {mutant} | {mean} | {' | '.join(cells)} | {_sign(str(verdict))} |")
    counts = compared.groupby("test", sort=False)["agree"].apply(lambda column: (column == "True").sum())
    total = compared.groupby("test", sort=False).size()
    agreement = ", ".join(f"{test} {counts[test]}/{total[test]}" for test in tests)
    return "\n".join([*lines, "", f"Agreement: {agreement}."])


def boundaries(folder: Path) -> str:
    """Published and our boundary of each search."""
    path = folder / "published_boundaries.csv"
    if not path.exists():
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
                print(f"### {name}\n\n{comparison(folder)}\n\n{boundaries(folder)}\n")


if __name__ == "__main__":
    main()

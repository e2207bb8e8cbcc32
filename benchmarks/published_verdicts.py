"""How often the three published tests, on the published rewards, give the published verdicts; how a seed changes it.

    PROCTOR_DATA=... python -m benchmarks.published_verdicts [--seeds 200] [--repeats 1]

Reads `published/cartpole_rewards.csv` and `cartpole_verdicts.csv` beside it, below PROCTOR_DATA; they are not part of
the project. `distance_distribution` draws random halves, so it is judged once per seed, and each verdict that differs
from the published one is counted by mutant.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mutations.killing.registry import kill_test
from mutations.killing.repeats import judge_repeated

OUTCOME_TESTS = ("reward_distribution", "distance_distribution")


@dataclass(frozen=True, slots=True)
class PublishedMutant:
    """Published rewards of a mutant and its healthy twins, shape (n,) each, and the three published figures."""

    name: str
    healthy: NDArray[np.float64]
    rewards: NDArray[np.float64]
    average_ratio: float
    outcomes: dict[str, str]


def published_mutants(folder: Path) -> list[PublishedMutant]:
    """All mutants of the published verdicts, with rewards in the order of their seeds."""
    table = pd.read_csv(folder / "cartpole_rewards.csv").sort_values("seed")
    rewards = {key: rows["mean_reward"].to_numpy() for key, rows in table.groupby(["algorithm", "mutant"])}
    verdicts = pd.read_csv(folder / "cartpole_verdicts.csv").to_dict("records")
    return [
        PublishedMutant(
            name=f"{row['algorithm']} {row['mutant']}",
            healthy=rewards[row["algorithm"], "Healthy"],
            rewards=rewards[row["algorithm"], row["mutant"]],
            average_ratio=float(row["average_ratio"]),
            outcomes={test: str(row[test]).replace("not killed", "survived") for test in OUTCOME_TESTS},
        )
        for row in verdicts
    ]


def differing(mutants: list[PublishedMutant], test: str, seed: int, repeats: int = 1) -> list[str]:
    """Mutants on which a test does not give the published figure."""
    judged = [judge_repeated(kill_test(test), each.healthy, each.rewards, seed, repeats) for each in mutants]
    if test == "average_ratio":
        pairs = zip(mutants, judged, strict=True)
        return [each.name for each, verdict in pairs if not np.isclose(verdict.statistic or 0.0, each.average_ratio)]
    return [
        each.name for each, verdict in zip(mutants, judged, strict=True) if str(verdict.outcome) != each.outcomes[test]
    ]


def reproduced(mutants: list[PublishedMutant], seeds: int, repeats: int) -> dict[str, Any]:
    """Verdicts reproduced, of how many, by test; for the resampling test the seeds by that number, and what differs."""
    result: dict[str, Any] = {"mutants": len(mutants), "seeds": seeds, "repeats": repeats}
    for test in ("average_ratio", "reward_distribution"):
        result[test] = len(mutants) - len(differing(mutants, test, 0))
    lists = [differing(mutants, "distance_distribution", seed, repeats) for seed in range(seeds)]
    counts = Counter(len(mutants) - len(names) for names in lists)
    result["distance_distribution"] = {str(count): counts[count] for count in sorted(counts)}
    result["differing"] = dict(Counter(name for names in lists for name in names))
    return result


def main() -> None:
    """Print the counts as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    if "PROCTOR_DATA" not in os.environ:
        parser.error("set PROCTOR_DATA to the folder of the public data files")
    mutants = published_mutants(Path(os.environ["PROCTOR_DATA"]) / "published")
    print(json.dumps(reproduced(mutants, arguments.seeds, arguments.repeats), indent=2))


if __name__ == "__main__":
    main()

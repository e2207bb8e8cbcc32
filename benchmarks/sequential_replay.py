"""Which verdicts `seeds: auto` gives on campaigns that trained 20 seeds, and how many of their trainings it needs.

    python -m benchmarks.sequential_replay [RESULTS ...] [--looks N ...] [--format table|json]

Reads `rewards.csv` of results (by default those of CartPole in results/paper) and judges the initial environment, once
with all agents and once look by look; either time the false discovery rate is controlled over the mutants. The cost is
given twice: in trainings, and in groups of four agents, which the fleet engine trains side by side for PPO and A2C (a
group that is not full costs the same).
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.verdict_laws import Rewards
from mutations.killing.error_control import DEFAULT_ERROR_CONTROL
from mutations.killing.family import correct_family
from mutations.killing.kill_test import KillVerdict, Outcome
from mutations.killing.margin_permutation import MarginPermutation
from mutations.killing.margin_permutation_at_look import at_look
from mutations.killing.sequential_looks import DEFAULT_LOOKS, Looks

FOLDER = Path(__file__).parents[1] / "results" / "paper"
DEFAULT = ("cartpole_ppo", "cartpole_ppo_published", "cartpole_a2c", "cartpole_dqn")
TEST = MarginPermutation()
LANES = 4


@dataclass(frozen=True, slots=True)
class Replay:
    """One campaign.

    Attributes:
        trainings, looks_trainings: of healthy agents and mutants, with all seeds and with looks.
        groups, looks_groups: of four agents side by side, likewise.
        killed, looks_killed: mutants.
        stops: agents of each mutant.
        differences: mutants with another outcome, as ``id: outcome -> outcome with looks``.
    """

    name: str
    mutants: int
    trainings: int
    looks_trainings: int
    groups: int
    looks_groups: int
    killed: int
    looks_killed: int
    stops: dict[str, int]
    differences: tuple[str, ...]


def populations(path: Path) -> dict[str, Rewards]:
    """Mutant -> rewards in the order of the seeds, from a table of rewards in one environment."""
    table = pd.read_csv(path).sort_values("seed")
    return {str(mutant): group["mean_reward"].to_numpy(float) for mutant, group in table.groupby("mutant", sort=False)}


def replay(name: str, rewards: dict[str, Rewards], looks: Looks) -> Replay:
    """Judge with all agents and look by look; higher-order mutants are left out."""
    healthy = rewards["Healthy"]
    mutants = {mutant: values for mutant, values in rewards.items() if mutant != "Healthy" and "-" not in mutant}
    fixed = _corrected({mutant: _judged(mutant, healthy, values, TEST) for mutant, values in mutants.items()})
    stops, stopped = look_by_look(healthy, mutants, looks)
    differences = [
        f"{mutant}: {fixed[mutant].outcome} -> {stopped[mutant].outcome}"
        for mutant in mutants
        if fixed[mutant].outcome is not stopped[mutant].outcome
    ]
    return Replay(
        name=name,
        mutants=len(mutants),
        trainings=healthy.size + sum(values.size for values in mutants.values()),
        looks_trainings=healthy.size + sum(stops.values()),
        groups=groups_of((healthy.size,)) + sum(groups_of((values.size,)) for values in mutants.values()),
        looks_groups=groups_of((healthy.size,)) + sum(groups_of(looks.agents, stop) for stop in stops.values()),
        killed=_kills(fixed),
        looks_killed=_kills(stopped),
        stops=stops,
        differences=tuple(differences),
    )


def groups_of(blocks: tuple[int, ...], last: int | None = None) -> int:
    """Groups of lanes in which agents are trained, block after block, up to the number `last`."""
    ends = [0, *(end for end in blocks if last is None or end <= last)]
    return sum(math.ceil((end - start) / LANES) for start, end in itertools.pairwise(ends))


def look_by_look(
    healthy: Rewards, mutants: dict[str, Rewards], looks: Looks
) -> tuple[dict[str, int], dict[str, KillVerdict]]:
    """Agents of each mutant when its training stopped, and the verdicts then, corrected over all mutants."""
    verdicts: dict[str, KillVerdict] = {}
    stops: dict[str, int] = {}
    undecided, after = set(mutants), verdicts
    for agents in looks.agents:
        for mutant in (mutant for mutant in mutants if mutant in undecided):
            stops[mutant] = agents
            verdicts[mutant] = _judged(mutant, healthy, mutants[mutant][:agents], at_look(TEST, looks, agents))
        after = _corrected(verdicts)
        undecided &= {mutant for mutant, verdict in after.items() if verdict.outcome is Outcome.INCONCLUSIVE}
    return stops, after


def _judged(mutant: str, healthy: Rewards, values: Rewards, test: MarginPermutation) -> KillVerdict:
    return test.judge(healthy, values, np.random.default_rng([len(mutant), *mutant.encode()]))


def _corrected(verdicts: dict[str, KillVerdict]) -> dict[str, KillVerdict]:
    family = correct_family(list(verdicts.values()), [TEST] * len(verdicts), DEFAULT_ERROR_CONTROL)
    return dict(zip(verdicts, family.verdicts, strict=True))


def _kills(verdicts: dict[str, KillVerdict]) -> int:
    return sum(verdict.outcome is Outcome.KILLED for verdict in verdicts.values())


def as_table(rows: list[Replay]) -> str:
    """Markdown."""
    lines = [
        "| campaign | mutants | trainings | with looks | share | of groups | killed | with looks | other outcome |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        shares = (row.looks_trainings / row.trainings, row.looks_groups / row.groups)
        cells = [row.mutants, row.trainings, row.looks_trainings, *(f"{share:.2f}" for share in shares)]
        cells += [row.killed, row.looks_killed]
        lines.append(f"| {row.name} | {' | '.join(map(str, cells))} | {'; '.join(row.differences) or 'none'} |")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sequential_replay", description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="*", default=DEFAULT, help="folders in results/paper")
    parser.add_argument("--looks", type=int, nargs="+", default=DEFAULT_LOOKS, help="agents of a mutant at each look")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    options = parser.parse_args()
    looks = Looks(tuple(options.looks))
    rows = [replay(name, populations(FOLDER / name / "rewards.csv"), looks) for name in options.results]
    print(json.dumps([asdict(row) for row in rows], indent=2) if options.format == "json" else as_table(rows))


if __name__ == "__main__":
    main()

"""Random faults from a seeded generator, and what must hold after each: nothing acknowledged is lost or done twice.

    python -m benchmarks.chaos --seed 1 [--rounds 8] [--inline 20] [--campaigns 3] [--only FAULT ...]

Three parts: `--rounds` faults of a real `proctor serve` under load, `--inline` rounds of faulty stores, files and
clocks below one owner, `--campaigns` rounds of a small campaign. The exit code is 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.chaos_faults import FAULTS
from benchmarks.chaos_ledger import Ledger
from benchmarks.chaos_service import Callers, Served

Outcome = tuple[Counter[str], int, list[str]]
"""Faults by kind, acknowledged calls that were checked, complaints."""


def note(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def service_rounds(
    folder: Path, rng: np.random.Generator, rounds: int, names: list[str] | None = None, seconds: float = 2.0
) -> Outcome:
    """Faults of a running service, one each round; every kind comes once before any comes again.

    Args:
        names: kinds to choose from; default all.
        seconds: of load before and after each fault.
    """
    faults: Counter[str] = Counter()
    complaints: list[str] = []
    ledgers: list[Ledger] = []
    served = Served(folder)
    try:
        served.start()
        bag: list[str] = []
        for number in range(rounds):
            bag = bag or [str(name) for name in rng.permutation(names or list(FAULTS))]
            name = bag.pop()
            if number % 3 == 0:  # a few agents, each through several faults
                ledgers.append(_agent(served, f"chaos-{number}"))
            started = time.monotonic()
            count, round_complaints = _round(served, ledgers[-1], name, rng, seconds)
            faults[name] += count
            complaints += [f"round {number}, {name}: {text}" for text in round_complaints]
            outcome, seconds_taken = round_complaints or "nothing lost", time.monotonic() - started
            note(f"{number + 1}/{rounds} {name} x{count}: {outcome}, {seconds_taken:.0f} s")
        for ledger in ledgers:
            complaints += [f"in the end: {text}" for text in ledger.complaints(*_ways(served, ledger))]
    finally:
        served.close()
    return faults, sum(ledger.acknowledged for ledger in ledgers), complaints


def _agent(served: Served, name: str) -> Ledger:
    served.post("/v1/agents", {"name": name, "kind": "failure_rate"})
    return Ledger(name)


def _round(
    served: Served, ledger: Ledger, name: str, rng: np.random.Generator, seconds: float
) -> tuple[int, list[str]]:
    before = ledger.acknowledged
    callers = Callers(served.url, ledger)
    try:
        time.sleep(seconds)
        count = FAULTS[name](served, rng)
        time.sleep(seconds)
    finally:
        round_complaints = callers.end()
    if ledger.acknowledged == before:
        round_complaints.append("nothing was acknowledged in the whole round")
    return count, round_complaints + ledger.complaints(*_ways(served, ledger), newest=20)


def _ways(served: Served, ledger: Ledger) -> tuple[Callable[[str], object], Callable[[str], object]]:
    base = f"/v1/agents/{ledger.agent}"
    return (lambda path: served.get(base + path)), (lambda path: served.post(base + path))


def as_table(outcomes: dict[str, Outcome]) -> str:
    """Markdown."""
    lines = ["| part | fault | injected |", "|---|---|---:|"]
    for part, (faults, _, _) in outcomes.items():
        lines += [f"| {part} | {name} | {count} |" for name, count in faults.most_common()]
    total = sum(faults.total() for faults, _, _ in outcomes.values())
    checked = ", ".join(f"{part} {count}" for part, (_, count, _) in outcomes.items())
    losses = sum(len(complaints) for _, _, complaints in outcomes.values())
    return "\n".join([*lines, "", f"{total} faults; acknowledged and checked: {checked}; lost or doubled: {losses}"])


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=len(FAULTS), help="faults of a running service")
    parser.add_argument("--inline", type=int, default=20, help="rounds below one owner in this process")
    parser.add_argument("--campaigns", type=int, default=3, help="rounds of a small campaign")
    parser.add_argument("--only", nargs="+", choices=list(FAULTS), help="kinds of faults of the service; default all")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    outcomes: dict[str, Outcome] = {}
    folder = Path(tempfile.mkdtemp(prefix="proctor-chaos-"))
    try:
        if options.inline:
            from benchmarks.chaos_inline import inline_rounds

            outcomes["below an owner"] = inline_rounds(folder, rng, options.inline, 40, note)
        if options.rounds:
            outcomes["service"] = service_rounds(folder, rng, options.rounds, options.only)
        if options.campaigns:
            from benchmarks.chaos_campaign import campaign_rounds

            outcomes["campaign"] = campaign_rounds(folder, rng, options.campaigns, note)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(as_table(outcomes))
    complaints = [text for _, _, texts in outcomes.values() for text in texts]
    print(*complaints, sep="\n", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())

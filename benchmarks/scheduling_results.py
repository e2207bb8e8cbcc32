"""Agent kinds x histories x feedback x objective, against the best heuristic of each history, with intervals.

python -m benchmarks.scheduling_results HISTORY... [--kinds failure_model bandit] [--heuristics failure_rate]
       [--seeds 20] [--plots FOLDER] [--cache FOLDER] [--parts table unlimited windows ablation]
       [--feedback full partial] [--objectives failures_first time_first]

Prints Markdown. Budget 50 % of each cycle's time, greedy fill, default reward. The best heuristic of a history is the
one with the highest mean there, known only with hindsight. The interval is a paired bootstrap over the failing cycles
(10,000 draws) of the difference of the means over the seeds. Finished replays are kept in --cache.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.scheduling.kinds.model_inputs import INPUT_NAMES
from agents.scheduling.registry import agent_kind
from agents.scheduling.settings import DEFAULT_KIND, AgentSettings
from orchestration.studies.replay import BASELINES
from orchestration.studies.replay_item import (
    HistorySource,
    ReplayItem,
    StoredItem,
    finished,
    from_plain,
    load,
    run_item,
)

Curve = NDArray[np.float64]
DRAWS = 10_000
WINDOW = 50
MEASURED = {"failures_first": ("napfd", "recall"), "time_first": ("apfdc", "ttff")}
"""Per objective: the metric that chooses the best heuristic and expresses differences; then the other metric shown."""

GROUPS: dict[str, dict[str, Any]] = {
    "without learning": {"precision": 1e9},
    "without cost": {"cost": 0.0, "blind_cost": 0.0},
    "without doubt": {"doubt": 0.0},
    "without neighbours": {"left_out": ",".join(name for name in INPUT_NAMES if "neighbours" in name)},
    "without patterns and streaks": {"left_out": "pattern,failed_last,failures_in_a_row,passes_in_a_row,flips"},
    "without rates but .8": {"left_out": "rate_0.5,rate_0.9,rate_0.97,rate_1"},
    "without place": {"left_out": "place,place_of_new"},
    "without duration as input": {"left_out": "duration"},
    "without ages and times": {"left_out": "since_run,since_failure,slow_since_failure,runs,age,ever_failed"},
}
"""The ablation: what is changed of the default kind."""


class Replays:
    """Curves per cycle, mean over the seeds; each replay is made once."""

    def __init__(self, cache: str) -> None:
        self._cache = cache

    def curves(
        self, source: HistorySource, kind: str, feedback: str, seeds: int, share: float = 0.5, **hyperparameters: Any
    ) -> dict[str, Curve]:
        """Metric -> value per failing cycle, in order; also ``cycle``: their numbers from 0."""
        results = []
        for seed in range(seeds):
            settings = AgentSettings(kind, seed=seed, hyperparameters=tuple(sorted(hyperparameters.items())))
            item = ReplayItem(source, settings, feedback=feedback, budget_share=share)
            stored = StoredItem(item, self._cache)
            plain = finished(stored)
            results.append(from_plain(item, run_item(stored) if plain is None else plain))
        failing = results[0].failing
        means = {
            name: np.mean([result.metrics[name][failing] for result in results], axis=0) for name in results[0].metrics
        }
        means["cycle"] = np.flatnonzero(failing).astype(np.float64)
        means["milliseconds"] = np.array([1e3 * float(np.mean([result.seconds.mean() for result in results]))])
        return means


def interval(difference: Curve, rng: np.random.Generator) -> tuple[float, float]:
    """Bootstrap 95 % interval of the mean."""
    draws = rng.integers(len(difference), size=(DRAWS, len(difference)))
    low, high = np.percentile(difference[draws].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def windows(difference: Curve) -> Curve:
    """Means over all windows of 50 failing cycles after the first 50."""
    later = difference[WINDOW:]
    if len(later) < WINDOW:
        return np.array([later.mean()]) if len(later) else np.zeros(0)
    sums = np.concatenate([[0.0], np.cumsum(later)])
    means: Curve = (sums[WINDOW:] - sums[:-WINDOW]) / WINDOW
    return means


def settings_for(kind: str, objective: str) -> dict[str, Any]:
    """The objective, for kinds that have one."""
    return {"objective": objective} if "objective" in agent_kind(kind).defaults else {}


def print_table(replays: Replays, sources: list[HistorySource], options: argparse.Namespace) -> None:
    """The tables of all feedbacks and objectives."""
    for objective in options.objectives:
        for feedback in options.feedback:
            _one_table(replays, sources, options, objective, feedback)


def _one_table(
    replays: Replays, sources: list[HistorySource], options: argparse.Namespace, objective: str, feedback: str
) -> None:
    metric, other = MEASURED[objective]
    print(f"\n### {objective}, {feedback} feedback: {metric} ({other})\n")
    by_kind: dict[str, list[dict[str, Curve]]] = {}
    for kind in (*options.heuristics, *options.kinds):
        settings = settings_for(kind, objective)
        seeds = options.seeds if kind in BASELINES or kind == DEFAULT_KIND else options.learned_seeds
        by_kind[kind] = [replays.curves(source, kind, feedback, seeds, **settings) for source in sources]
        print(f"{objective} {feedback} {kind}", file=sys.stderr, flush=True)
    _header(["agent", *(load(source).name for source in sources)])
    for kind, curves in by_kind.items():
        _row([f"`{kind}`", *(f"{curve[metric].mean():.3f} ({curve[other].mean():.3f})" for curve in curves)])
    for kind in options.kinds:
        cells = []
        for place, mine in enumerate(by_kind[kind]):
            best = max(options.heuristics, key=lambda name: float(by_kind[name][place][metric].mean()))
            difference = mine[metric] - by_kind[best][place][metric]
            low, high = interval(difference, np.random.default_rng(0))
            cells.append(f"{difference.mean():+.3f} [{low:+.3f}, {high:+.3f}] to `{best}`")
        _row([f"`{kind}` - best heuristic", *cells])


def print_unlimited(replays: Replays, sources: list[HistorySource], options: argparse.Namespace) -> None:
    """Without a budget: how soon the first failure is found, and all of them."""
    print("\n### time_first without a budget, full feedback: ttff (apfdc)\n")
    _header(["agent", *(load(source).name for source in sources)])
    for kind in dict.fromkeys((*options.heuristics, DEFAULT_KIND)):
        settings = settings_for(kind, "time_first")
        curves = [replays.curves(source, kind, "full", options.seeds, share=1.0, **settings) for source in sources]
        _row([f"`{kind}`", *(f"{curve['ttff'].mean():.4f} ({curve['apfdc'].mean():.4f})" for curve in curves)])


def print_windows(replays: Replays, sources: list[HistorySource], options: argparse.Namespace) -> None:
    """The worst window of 50 failing cycles, against each history's best heuristic."""
    print("\n### Windows of 50 failing cycles after the first 50, full feedback, napfd\n")
    _header(["history", "best heuristic", "worst window", "share of windows below -.01", "first 50 cycles"])
    for source in sources:
        heuristics = {name: replays.curves(source, name, "full", options.seeds)["napfd"] for name in options.heuristics}
        best = max(heuristics, key=lambda name: float(heuristics[name].mean()))
        mine = replays.curves(
            source, DEFAULT_KIND, "full", options.seeds, **settings_for(DEFAULT_KIND, "failures_first")
        )
        difference = mine["napfd"] - heuristics[best]
        means = windows(difference)
        worst = f"{means.min():+.3f}" if len(means) else "-"
        below = f"{(means < -0.01).mean():.2f}" if len(means) else "-"
        _row([load(source).name, f"`{best}`", worst, below, f"{difference[:WINDOW].mean():+.3f}"])


def print_ablation(replays: Replays, sources: list[HistorySource], options: argparse.Namespace) -> None:
    """What each part of the default kind is worth: napfd, full / partial."""
    print("\n### Ablation of the default kind: napfd, full / partial\n")
    _header(["changed", *(load(source).name for source in sources)])
    for name, settings in {"nothing": {}, **GROUPS}.items():
        cells = []
        for source in sources:
            means = [
                float(
                    replays.curves(source, DEFAULT_KIND, feedback, options.ablation_seeds, **settings)["napfd"].mean()
                )
                for feedback in ("full", "partial")
            ]
            cells.append(" / ".join(f"{mean:.3f}" for mean in means))
        _row([name, *cells])


def draw_curves(replays: Replays, sources: list[HistorySource], options: argparse.Namespace) -> None:
    """One picture per history: rolling means of napfd, full and partial feedback."""
    from orchestration.studies.replay_plot import draw

    for source in sources:
        panels = []
        for feedback in ("full", "partial"):
            lines = []
            for kind in (DEFAULT_KIND, "failure_rate", "failure_rate_per_second", "random"):
                settings = settings_for(kind, "failures_first")
                curves = replays.curves(source, kind, feedback, options.seeds, **settings)
                whole = np.full(len(load(source)), np.nan)
                whole[curves["cycle"].astype(np.int64)] = curves["napfd"]
                lines.append((kind, kind in BASELINES, whole))
            panels.append((f"NAPFD, {feedback} feedback", lines))
        name = load(source).name
        draw(panels, f"{name}, budget 50 %: rolling means over {options.seeds} seeds", options.plots / f"{name}.png")


PARTS = {
    "table": print_table,
    "unlimited": print_unlimited,
    "windows": print_windows,
    "ablation": print_ablation,
}


def _header(cells: Iterable[str]) -> None:
    cells = list(cells)
    _row(cells)
    _row(["---"] * len(cells))


def _row(cells: Iterable[str]) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Print the requested tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("histories", type=Path, nargs="+")
    parser.add_argument("--kinds", nargs="+", default=[DEFAULT_KIND])
    parser.add_argument("--heuristics", nargs="+", default=list(BASELINES))
    parser.add_argument("--seeds", type=int, default=20, help="of heuristics and of the default kind")
    parser.add_argument("--learned-seeds", type=int, default=3, help="of the other learning kinds")
    parser.add_argument("--ablation-seeds", type=int, default=3)
    parser.add_argument("--parts", nargs="*", default=["table", "unlimited", "windows", "ablation"])
    parser.add_argument("--feedback", nargs="+", default=["full", "partial"])
    parser.add_argument("--objectives", nargs="+", default=list(MEASURED), choices=list(MEASURED))
    parser.add_argument("--plots", type=Path)
    parser.add_argument("--cache", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        replays = Replays(options.cache or folder)
        sources = [HistorySource.of_file(path) for path in options.histories]
        for part in options.parts:
            PARTS[part](replays, sources, options)
        if options.plots is not None:
            draw_curves(replays, sources, options)


if __name__ == "__main__":
    main()

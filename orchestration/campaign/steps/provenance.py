"""Where a result comes from: versions, machine, seeds, addresses, cost, date. Kept apart from the result tables."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from orchestration.campaign.context import RunContext
from orchestration.campaign.result import PopulationResult, total
from orchestration.campaign.spec.campaign import ResolvedCampaign

PACKAGES = (
    "proctor",
    "stable-baselines3",
    "gymnasium",
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "ray",
    "mlflow",
)


def provenance(
    context: RunContext, campaign: ResolvedCampaign, populations: Sequence[PopulationResult]
) -> dict[str, Any]:
    """Plain data for the report and the tracker."""
    cpu_seconds = total([population.cpu_seconds for population in populations])
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "run_id": campaign.run_id,
        "versions": {"python": platform.python_version(), **versions()},
        "machine": {
            "platform": platform.platform(),
            "cpu": cpu_name(),
            "cores": len(os.sched_getaffinity(0)),
            "executor": context.executor.name,
            "slots": context.executor.slots,
        },
        "seeds": {
            "training": list(campaign.seeds),
            "evaluation": campaign.evaluation.seed,
            "statistics": campaign.seed,
        },
        "cost": {
            "train_seconds": round(sum(population.train_seconds for population in populations), 1),
            "train_cpu_seconds": None if cpu_seconds is None else round(cpu_seconds, 1),
            "task_seconds_this_run": round(context.seconds, 1),
            "items_computed_this_run": context.computed,
            "items_found_in_store": context.reused,
        },
        "store": context.store.url,
        "recipes": {population.mutant: population.recipe_address for population in populations},
    }


def versions() -> dict[str, str]:
    """Installed versions of the packages that results depend on."""
    installed = {}
    for package in PACKAGES:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # run from a working directory that was never installed
            installed[package] = "not installed"
    return installed


def cpu_name() -> str:
    """The processor's model, as the operating system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())

"""A resampling test judged several times: the majority outcome and its share."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from envsearch.errors import InputError
from mutations.killing.kill_test import KillTest, KillVerdict, Outcome

_CAUTION = (Outcome.INCONCLUSIVE, Outcome.SURVIVED, Outcome.KILLED, None)


def judge_repeated(
    test: KillTest, healthy: NDArray[np.float64], mutant: NDArray[np.float64], seed: int, repeats: int
) -> KillVerdict:
    """The first verdict that has the majority outcome of `repeats` runs, with that outcome's share as `agreement`.

    Every run has its own generator, derived from `seed`. Where two outcomes are equally frequent the more cautious
    one is taken (inconclusive, then survived, then killed). A test that does not resample runs once, without share.

    Raises:
        InputError: `seed` is negative, `repeats` is below 1, or the populations cannot be compared.
    """
    if repeats < 1:
        raise InputError(f"{repeats} repeats", "repeats", "a whole number of at least 1")
    if seed < 0:
        raise InputError(f"seed {seed} is negative", "seed", "a whole number of at least 0")
    runs = repeats if test.resampling else 1
    children = np.random.SeedSequence(seed).spawn(runs)
    verdicts = [test.judge(healthy, mutant, np.random.default_rng(child)) for child in children]
    if not test.resampling:
        return verdicts[0]
    counts = Counter(verdict.outcome for verdict in verdicts)
    outcome = max(counts, key=lambda candidate: (counts[candidate], -_CAUTION.index(candidate)))
    chosen = next(verdict for verdict in verdicts if verdict.outcome is outcome)
    return replace(chosen, agreement=counts[outcome] / runs)

"""Stable-Baselines3 draws from the global generators: lend it seeded ones, and put back what was there."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from agents.library_randomness import library_randomness_kept


@contextmanager
def isolated_random(seed: int) -> Iterator[None]:
    """Inside this block the global generators of Python, numpy and torch are seeded; afterwards as before it.

    The generators are the process's own: not for two threads at once.
    """
    with library_randomness_kept():
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        yield

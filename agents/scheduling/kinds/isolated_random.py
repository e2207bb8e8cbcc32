"""Seeded global generators for Stable-Baselines3, which draws from them; restored afterwards."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from agents.library_randomness import library_randomness_kept


@contextmanager
def isolated_random(seed: int) -> Iterator[None]:
    """Inside this block the global generators of Python, numpy and torch are seeded; afterwards they are restored.

    They belong to the whole process: two threads must not use this at the same time.
    """
    with library_randomness_kept():
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        yield

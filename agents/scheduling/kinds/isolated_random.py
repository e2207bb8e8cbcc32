"""Stable-Baselines3 draws from the global generators: lend it seeded ones, and put back what was there."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def isolated_random(seed: int) -> Iterator[None]:
    """Inside this block the global generators of Python, numpy and torch are seeded; afterwards as before it.

    The generators are the process's own: not for two threads at once.
    """
    python, numpy, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        torch.set_rng_state(torch_state)

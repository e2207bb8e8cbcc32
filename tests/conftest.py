"""Fixtures of all tests."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest
import torch

torch.set_num_threads(1)

# A busy machine is no failure: examples have no deadline.
hypothesis.settings.register_profile("proctor", deadline=None)
hypothesis.settings.load_profile("proctor")


@pytest.fixture(scope="session")
def proctor_data() -> Path:
    """The folder of the public data files; the test is skipped where it is not named."""
    folder = os.environ.get("PROCTOR_DATA")
    if not folder:
        pytest.skip("PROCTOR_DATA does not name the folder of the public data files")
    return Path(folder)

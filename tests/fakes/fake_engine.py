"""The fake engine in the table of engines: specs resolve and campaigns run without building models."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.deeprl.engines import registry


def use_fake_engine(patch: pytest.MonkeyPatch) -> None:
    """Enter it as `fake`, and let its module be imported."""
    patch.syspath_prepend(str(Path(__file__).parent))
    patch.setitem(registry.ENGINES, "fake", ("fake_campaign", "FakeEngine"))

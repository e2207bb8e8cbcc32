"""A spec as text: what it resolves to, and what is wrong with it."""

from __future__ import annotations

import pytest

from envsearch.errors import InputError
from orchestration.campaign.spec.campaign import ResolvedCampaign
from orchestration.campaign.spec.loading import parse_spec
from orchestration.campaign.spec.resolving import resolve
from orchestration.campaign.spec.yaml_source import parse_yaml

BASE = "environment: CartPole-v1\nalgorithm: ppo\n"


def resolved(text: str, engine: str = "fake") -> ResolvedCampaign:
    """The campaign; `engine` where the text names none."""
    content = parse_yaml(text, "spec.yaml")
    content.setdefault("engine", engine)
    return resolve(parse_spec(content, "spec.yaml"), "spec.yaml")


def complaint(text: str) -> str:
    """The one line about a spec that is refused."""
    with pytest.raises(InputError) as caught:
        resolved(text)
    line = str(caught.value)
    assert "\n" not in line
    return line

"""The field `boundary` of a spec: what searches the boundary environments, over which parameters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from envsearch.boundary import BoundarySearch
from envsearch.definition import EnvironmentDefinition
from envsearch.errors import InputError, unknown_name
from mutations.killing.registry import kill_test
from orchestration.campaign.result import EQUIVALENCE
from orchestration.campaign.spec.campaign import BoundaryPlan
from orchestration.campaign.spec.model import CampaignSpec


def boundary_plan(spec: CampaignSpec, definition: EnvironmentDefinition, kill_tests: tuple[str, ...]) -> BoundaryPlan:
    """What searches: by default ``equivalence``, if any kill test gives verdicts in the environments.

    Raises:
        InputError: an unknown search, a kill test that cannot search, no parameter, an impossible precision.
    """
    section = spec.boundary
    tests: tuple[str, ...] = ()
    if section.enabled:
        judging = any(gives_verdicts(name) for name in kill_tests)
        tests = _searches(section.tests or ([EQUIVALENCE] if judging else []), kill_tests)
        if not definition.parameters:
            raise InputError(
                f"{definition.name} declares no parameter to search over",
                "environment.parameters",
                "at least one parameter, or boundary: {enabled: false}",
            )
        _refuse_endless_search(definition, spec)
        if "scan" in section.model_fields_set and EQUIVALENCE not in tests:
            raise InputError("a kill test searches without a scan", "boundary.scan", f"{EQUIVALENCE} in boundary.tests")
    return BoundaryPlan(tests, definition.parameters, section.batch, section.scaling, section.scan)


def _searches(names: Sequence[str], kill_tests: tuple[str, ...]) -> tuple[str, ...]:
    for index, name in enumerate(names):
        field = f"boundary.tests[{index}]"
        if name in names[:index]:
            raise InputError(f"{name!r} appears twice", field, "distinct searches")
        if name != EQUIVALENCE:
            _refuse_search_test(name, kill_tests, field)
    return tuple(names)


@cache
def gives_verdicts(name: str) -> bool:
    """Whether a kill test says killed or survived, or only gives a number: tried on two populations far apart."""
    healthy = np.arange(20.0)
    return kill_test(name).judge(healthy, healthy + 100.0, np.random.default_rng(0)).outcome is not None


def _refuse_search_test(name: str, kill_tests: tuple[str, ...], field: str) -> None:
    if name not in kill_tests:
        raise unknown_name("search or kill test of this campaign", name, (EQUIVALENCE, *kill_tests), field)
    if not gives_verdicts(name):
        raise InputError(f"{name!r} gives no verdict", field, "a kill test that says killed or survived")


def _refuse_endless_search(definition: EnvironmentDefinition, spec: CampaignSpec) -> None:
    """The search refuses what it cannot do (a precision too fine for its limits); the error names the spec's field."""
    section = spec.boundary
    try:
        BoundarySearch(definition.parameters, section.batch, scaling=section.scaling, scan=section.scan)
    except InputError as error:
        name, _, setting = error.field.rpartition(".")
        field = f"boundary.{setting}.{name}" if name else f"boundary.{setting}"
        raise InputError(error.problem, field, error.expected) from error

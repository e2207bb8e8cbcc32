"""The field `seeds` of a spec: which seeds the populations have, and at which looks mutants are judged."""

from __future__ import annotations

from collections.abc import Sequence

from envsearch.errors import InputError
from mutations.killing.margin_permutation_at_look import takes_looks
from mutations.killing.registry import DEFAULT_KILL_TEST, kill_test
from mutations.killing.sequential_looks import DEFAULT_LOOKS, Looks
from orchestration.campaign.spec.model import CampaignSpec, SeedsSection

LOOKS_KILL_TEST = "margin_permutation"
"""The default kill test of a campaign with looks; others do not spend their level over them."""


def resolved_looks(spec: CampaignSpec, side_by_side: int) -> Looks | None:
    """When mutants are judged; None where all populations have all seeds.

    Args:
        spec: the fields.
        side_by_side: agents that the engine trains for the cost of one. The default looks are rounded up to it, since a
            group that is not full costs the same.

    Raises:
        InputError: the looks do not rise.
    """
    if not has_looks(spec):
        return None
    if isinstance(spec.seeds, SeedsSection) and spec.seeds.looks is not None:
        return Looks(tuple(spec.seeds.looks))
    return Looks(tuple(dict.fromkeys(-(-agents // side_by_side) * side_by_side for agents in DEFAULT_LOOKS)))


def has_looks(spec: CampaignSpec) -> bool:
    """Whether mutants are trained look by look."""
    return spec.seeds == "auto" or isinstance(spec.seeds, SeedsSection)


def default_kill_tests(spec: CampaignSpec) -> list[str]:
    """The kill tests of a spec that names none."""
    return [LOOKS_KILL_TEST if has_looks(spec) else DEFAULT_KILL_TEST]


def resolved_seeds(spec: CampaignSpec, looks: Looks | None, kill_tests: Sequence[str]) -> tuple[int, ...]:
    """The seeds of the healthy population; mutants have the first of them.

    Raises:
        InputError: a list is empty or repeats a seed, there are fewer healthy agents than the last look, or a kill test
            cannot be judged at looks.
    """
    if looks is not None:
        _refuse_tests_without_looks(kill_tests)
        return tuple(range(_healthy_agents(spec, looks)))
    seeds = spec.seeds
    if isinstance(seeds, int):
        return tuple(range(seeds))
    assert isinstance(seeds, list)
    if not seeds:
        raise InputError("the list is empty", "seeds", "at least one seed")
    repeated = next((seed for index, seed in enumerate(seeds) if seed in seeds[:index]), None)
    if repeated is not None:
        raise InputError(f"seed {repeated} appears twice", "seeds", "distinct seeds")
    return tuple(seeds)


def _healthy_agents(spec: CampaignSpec, looks: Looks) -> int:
    healthy = spec.seeds.healthy if isinstance(spec.seeds, SeedsSection) else None
    if healthy is not None and healthy < looks.most:
        raise InputError(
            f"{healthy} healthy agents are fewer than the {looks.most} of the last look",
            "seeds.healthy",
            f"a number of at least {looks.most}",
        )
    return healthy or looks.most


def _refuse_tests_without_looks(kill_tests: Sequence[str]) -> None:
    for index, name in enumerate(kill_tests):
        if not takes_looks(kill_test(name)):
            raise InputError(
                f"{name!r} does not spend its level over looks, which `seeds` asks for",
                f"kill_tests[{index}]",
                f"{LOOKS_KILL_TEST}, or a number of seeds",
            )

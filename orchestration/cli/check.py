"""``proctor check module:object``: the contract of the built-in parts, on a user's own part."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Container, Iterable
from typing import Annotated, Any, Literal, Protocol

import typer

from envsearch.errors import InputError
from envsearch.import_path import is_import_path, load_object
from orchestration.cli.options import Format
from orchestration.cli.output import OutputFormat, print_json, print_table

Kind = Literal["agent kind", "reward", "exploration", "operator", "kill test", "environment", "algorithm"]

EXPECTED = (
    "a scheduling-agent kind, a reward, an exploration, a mutation operator, a kill test, "
    "a Stable-Baselines3 algorithm class, an EnvironmentDefinition or a callable that makes an environment"
)


class _Row(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def passed(self) -> bool: ...

    @property
    def detail(self) -> str: ...


def check(
    part: Annotated[str, typer.Argument(metavar="MODULE:OBJECT", help="Import path of the part, or a listed name.")],
    output: Format = OutputFormat.TABLE,
) -> None:
    """Run the contract of the built-in parts on a part of your own.

    The part is a scheduling-agent kind, a reward, an exploration, a mutation operator, a kill test, an environment or
    a Stable-Baselines3 algorithm class; its base class decides which. The exit code is 1 if a check fails.
    """
    kind = kind_of(part)
    rows = list(checks_of(part, kind))
    if output is OutputFormat.JSON:
        print_json([_json_row(part, kind, row) for row in rows])
    else:
        table = [["passed" if row.passed else "FAILED", row.name, row.detail] for row in rows]
        print_table(["", "check", "detail"], table, f"{part}: {kind}")
    if not all(row.passed for row in rows):
        sys.stdout.flush()
        raise typer.Exit(1)


def _json_row(part: str, kind: Kind, row: _Row) -> dict[str, Any]:
    return {"part": part, "kind": kind, "check": row.name, "passed": row.passed, "detail": row.detail}


def kind_of(part: str) -> Kind:
    """The kind of a part, by its name in a table or by the base class of the object at its import path.

    Raises:
        InputError: there is no such part, or no contract for its kind.
    """
    if not is_import_path(part):
        return _listed_kind(part)
    loaded = load_object(part, "proctor check")
    if (scheduling := _scheduling_kind(loaded)) is not None:
        return scheduling
    if inspect.isclass(loaded) and _is_algorithm(loaded):
        return "algorithm"
    if _is_operator(loaded):
        return "operator"
    if callable(getattr(loaded, "judge", None)):
        return "kill test"
    if _is_definition(loaded) or callable(loaded):
        return "environment"
    raise InputError(f"{part!r} is a {type(loaded).__name__}", "proctor check", EXPECTED)


def _listed_kind(name: str) -> Kind:
    """An algorithm wins over the agent kind of the same name (ppo): that one is named by its import path."""
    from agents.scheduling.registry import AGENT_KINDS, EXPLORATIONS, REWARDS

    tables: dict[Kind, Container[str]] = {
        "algorithm": _algorithms(),
        "agent kind": AGENT_KINDS,
        "reward": REWARDS,
        "exploration": EXPLORATIONS,
    }
    for kind, table in tables.items():
        if name in table:
            return kind
    return _listed_campaign_kind(name)


def _algorithms() -> Container[str]:
    try:
        from agents.deeprl.algorithms import ALGORITHMS
    except ModuleNotFoundError:  # a light installation trains nothing
        return ()
    return ALGORITHMS


def _listed_campaign_kind(name: str) -> Kind:
    from envsearch.registry import environment
    from mutations.killing.registry import KILL_TESTS
    from mutations.registry import OPERATORS

    if name in OPERATORS:
        return "operator"
    if name in KILL_TESTS:
        return "kill test"
    try:
        environment(name)
    except InputError as error:
        problem = f"{name!r} is neither an import path nor a listed part"
        raise InputError(problem, "proctor check", f"module:object: {EXPECTED}") from error
    return "environment"


def checks_of(part: str, kind: Kind) -> Iterable[_Row]:
    """Run the contract of a part's kind."""
    if kind == "agent kind":
        from agents.scheduling.agent_checks import check_agent_kind
        from agents.scheduling.registry import agent_kind

        return check_agent_kind(agent_kind(part, "proctor check"))
    if kind == "reward":
        from agents.scheduling.registry import reward_class
        from agents.scheduling.reward_checks import check_reward

        return check_reward(reward_class(part, "proctor check"))
    if kind == "exploration":
        from agents.scheduling.exploration_checks import check_exploration
        from agents.scheduling.registry import exploration_class

        return check_exploration(exploration_class(part, "proctor check"))
    return _campaign_checks(part, kind)


def _campaign_checks(part: str, kind: Kind) -> Iterable[_Row]:
    if kind == "operator":
        from agents.deeprl.engines.registry import engine
        from mutations.operator_checks import check_operator
        from mutations.registry import operator

        return check_operator(operator(part), engine=engine("sb3"), name=part)
    if kind == "kill test":
        from mutations.killing.kill_test_checks import check_kill_test
        from mutations.killing.registry import kill_test

        return check_kill_test(kill_test(part))
    if kind == "algorithm":
        from agents.deeprl.algorithm_checks import check_algorithm

        return check_algorithm(part)
    from envsearch.environment_checks import check_environment
    from envsearch.registry import environment

    return check_environment(environment(part))


def _scheduling_kind(part: Any) -> Kind | None:
    from agents.scheduling.agent import SchedulingAgent
    from agents.scheduling.explorer import Exploration
    from agents.scheduling.reward import Reward

    bases: dict[Kind, type] = {"agent kind": SchedulingAgent, "reward": Reward, "exploration": Exploration}
    if not inspect.isclass(part):
        return None
    return next((kind for kind, base in bases.items() if issubclass(part, base)), None)


def _is_algorithm(part: type[Any]) -> bool:
    """Without importing torch for every other kind of part: only a class whose bases include the library's."""
    return any(base.__module__.startswith("stable_baselines3.") for base in part.__mro__) and hasattr(part, "learn")


def _is_operator(part: Any) -> bool:
    from mutations.operator import MutationOperator

    return isinstance(part, MutationOperator) or (inspect.isclass(part) and issubclass(part, MutationOperator))


def _is_definition(part: Any) -> bool:
    from envsearch.definition import EnvironmentDefinition

    return isinstance(part, EnvironmentDefinition)

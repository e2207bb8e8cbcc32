"""``proctor check module:object``: the contract of the built-in parts, on a user's own part."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Protocol

import typer

from envsearch.errors import InputError
from envsearch.import_path import is_import_path, load_object
from orchestration.cli.output import OutputFormat, print_json, print_table

Kind = Literal["operator", "kill test", "environment", "algorithm"]

EXPECTED = (
    "a mutation operator, a kill test, an EnvironmentDefinition or a callable that makes an environment, "
    "or a Stable-Baselines3 algorithm class"
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
    output: Annotated[OutputFormat, typer.Option("--format", help="How to print.")] = OutputFormat.TABLE,
) -> None:
    """Run the contract of the built-in parts on a part of your own.

    The part is a mutation operator, a kill test, an environment or a Stable-Baselines3 algorithm class; its kind
    is detected. The exit code is 1 if a check fails.
    """
    kind = kind_of(part)
    rows = list(checks_of(part, kind))
    if output is OutputFormat.JSON:
        print_json(
            [
                {"part": part, "kind": kind, "check": row.name, "passed": row.passed, "detail": row.detail}
                for row in rows
            ]
        )
    else:
        table = [["passed" if row.passed else "FAILED", row.name, row.detail] for row in rows]
        print_table(["", "check", "detail"], table, f"{part}: {kind}")
    if not all(row.passed for row in rows):
        sys.stdout.flush()
        raise typer.Exit(1)


def _object(part: str, kind: Kind, row: _Row) -> dict[str, Any]:
    return {"part": part, "kind": kind, "check": row.name, "passed": row.passed, "detail": row.detail}


def kind_of(part: str) -> Kind:
    """The kind of a part, by its name in a table or by the object at its import path.

    Raises:
        InputError: no such part, or a part of another kind.
    """
    if not is_import_path(part):
        return _listed_kind(part)
    loaded = load_object(part, "proctor check")
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
    from agents.deeprl.algorithms import ALGORITHMS
    from envsearch.registry import environment
    from mutations.killing.registry import KILL_TESTS
    from mutations.registry import OPERATORS

    if name in OPERATORS:
        return "operator"
    if name in KILL_TESTS:
        return "kill test"
    if name in ALGORITHMS:
        return "algorithm"
    try:
        environment(name)
    except InputError as error:
        problem = f"{name!r} is neither an import path nor a listed part"
        raise InputError(problem, "proctor check", f"module:object: {EXPECTED}") from error
    return "environment"


def checks_of(part: str, kind: Kind) -> Iterable[_Row]:
    """Run the contract of a part's kind."""
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


def _is_algorithm(candidate: type[Any]) -> bool:
    """Without importing torch for every other kind of part: only a class whose bases include the library's."""
    return any(base.__module__.startswith("stable_baselines3.") for base in candidate.__mro__) and hasattr(
        candidate, "learn"
    )


def _is_operator(candidate: Any) -> bool:
    from mutations.operator import MutationOperator

    return isinstance(candidate, MutationOperator) or (
        inspect.isclass(candidate) and issubclass(candidate, MutationOperator)
    )


def _is_definition(candidate: Any) -> bool:
    from envsearch.definition import EnvironmentDefinition

    return isinstance(candidate, EnvironmentDefinition)

"""``proctor operators | environments | kill-tests | presets``: the registered parts, read from their tables."""

from __future__ import annotations

from typing import Any

from orchestration.cli.options import Format
from orchestration.cli.output import OutputFormat, print_json, print_table


def operators(output: Format = OutputFormat.TABLE) -> None:
    """List the mutation operators, with magnitudes, variants and the algorithms they apply to."""
    from mutations.registry import OPERATORS

    rows = [_operator_row(operator) for operator in OPERATORS.values()]
    columns = ("operator", "level", "magnitude", "variants", "algorithms", "definition")
    _print(rows, output, columns, "Mutation operators")


def _operator_row(operator: Any) -> dict[str, Any]:
    return {
        "operator": operator.acronym,
        "name": operator.name,
        "level": operator.level,
        "magnitude": _magnitude(operator.magnitude),
        "variants": list(operator.variants),
        "options": {name: list(values) for name, values in operator.options},
        "algorithms": _algorithms(operator),
        "sites": list(operator.sites),
        "definition": operator.definition,
        "source": operator.source,
    }


def _magnitude(magnitude: Any) -> str:
    from mutations.operator import ChoiceMagnitude

    if isinstance(magnitude, ChoiceMagnitude):
        return " | ".join(magnitude.choices)
    return f"probability per {magnitude.event}{'' if magnitude.required else ' [1]'}"


def _algorithms(operator: Any) -> list[str]:
    """Algorithms of the table in whose CartPole recipe the fault can exist."""
    from agents.deeprl.algorithms import ALGORITHMS
    from agents.deeprl.presets import preset
    from envsearch.spec import EnvironmentSpec

    recipes = {name: preset("CartPole-v1", name).recipe(EnvironmentSpec("CartPole-v1")) for name in ALGORITHMS}
    return [name for name, recipe in recipes.items() if operator.objection(recipe) is None]


def environments(output: Format = OutputFormat.TABLE) -> None:
    """List the environments and the parameters that a boundary search can vary."""
    from envsearch.registry import ENVIRONMENTS

    if output is OutputFormat.JSON:
        print_json([_environment_row(definition) for definition in ENVIRONMENTS.values()])
        return
    rows = []
    for definition in ENVIRONMENTS.values():
        for index, known in enumerate(definition.parameters):
            unit = f" {known.unit}" if known.unit else ""
            first = [definition.name, ", ".join(definition.aliases)] if index == 0 else ["", ""]
            limits = f"{known.low:g} to {known.high:g}{unit}"
            rows.append([*first, known.name, f"{known.initial:g}", limits, f"{known.precision:g}"])
    columns = ["environment", "also accepted", "parameter", "initial", "limits", "precision"]
    print_table(columns, rows, "Environments")
    print("Any other gymnasium id and any module:callable is also accepted, with declared parameters.")


def _environment_row(definition: Any) -> dict[str, Any]:
    from envsearch.canonical import plain

    return {
        "environment": definition.name,
        "aliases": list(definition.aliases),
        "summary": definition.summary,
        "parameters": plain(definition.parameters),
        "reward_threshold": definition.reward_threshold,
        "max_episode_steps": definition.max_episode_steps,
        "source": definition.source,
    }


def kill_tests(output: Format = OutputFormat.TABLE) -> None:
    """List the kill tests."""
    from mutations.killing.registry import DEFAULT_KILL_TEST, KILL_TESTS

    rows = [
        {
            "kill_test": name,
            "default": name == DEFAULT_KILL_TEST,
            "summary": test.summary,
            "resampling": test.resampling,
            "corrected": test.corrected,
            "power_alternative": getattr(test, "power_alternative", None),
            "source": test.source,
        }
        for name, test in KILL_TESTS.items()
    ]
    _print(rows, output, ("kill_test", "summary", "resampling", "corrected", "source"), "Kill tests")


def presets(output: Format = OutputFormat.TABLE) -> None:
    """List the presets; JSON gives every number with its source."""
    from agents.deeprl.presets import PRESETS, preset

    rows = []
    for (environment, algorithm), file_name in PRESETS.items():
        entry = preset(environment, algorithm)
        sources = dict(entry.sources)
        hyperparameters = dict(entry.hyperparameters)
        rows.append(
            {
                "preset": file_name.removesuffix(".yaml"),
                "environment": environment,
                "algorithm": algorithm,
                "steps": entry.total_steps,
                "threshold": entry.threshold,
                "hyperparameters": hyperparameters,
                "policy": {name: getattr(entry.policy, name) for name in entry.policy.__dataclass_fields__},
                "sources": sources,
                "settings": ", ".join(f"{name} {value}" for name, value in hyperparameters.items()),
            }
        )
    if output is OutputFormat.JSON:
        rows = [{name: value for name, value in row.items() if name != "settings"} for row in rows]
    _print(rows, output, ("preset", "environment", "algorithm", "steps", "threshold", "settings"), "Presets")


def _print(rows: list[dict[str, Any]], output: OutputFormat, columns: tuple[str, ...], title: str) -> None:
    if output is OutputFormat.JSON:
        print_json(rows)
    else:
        print_table(columns, [[row[name] for name in columns] for row in rows], title)

"""``proctor classify``: properties of higher-order mutants from existing kill matrices."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated, Any

import typer

from mutations.kill_table import ClassifiedMutant, classify_table, read_kill_table
from orchestration.cli.options import Format
from orchestration.cli.output import OutputFormat, print_json, print_table

TABLE_COLUMNS = ("mutant", "kills", "union", "intersection", "environments", "published", "strict")


def classify(
    kill_matrix: Annotated[
        Path,
        typer.Option(
            "--kill-matrix", help="Tidy CSV of first-order mutants: which test kills which mutant in which environment."
        ),
    ],
    higher_order: Annotated[
        Path, typer.Option("--higher-order", help="Tidy CSV of higher-order mutants in the same environments.")
    ],
    output: Format = OutputFormat.TABLE,
) -> None:
    """Show how every higher-order mutant relates to its first-order constituents.

    Columns of both tables: environment, algorithm, kill_test, mutant, killed; all others (except "property") are
    coordinates of the test environment.
    """
    classified = classify_table(read_kill_table(kill_matrix), read_kill_table(higher_order))
    if output is OutputFormat.JSON:
        print_json([classified_row(mutant) for mutant in classified])
        return
    for (environment, algorithm, kill_test), group in itertools.groupby(classified, key=_group):
        rows = [_cells(mutant) for mutant in group]
        print_table(TABLE_COLUMNS, rows, f"{environment} / {algorithm}, {kill_test}")


def classified_row(mutant: ClassifiedMutant) -> dict[str, Any]:
    """One object of the JSON list."""
    classification = mutant.classification
    return {
        "environment": mutant.environment,
        "algorithm": mutant.algorithm,
        "kill_test": mutant.kill_test,
        "mutant": mutant.mutant,
        "property_published": classification.published,
        "property_strict": classification.strict,
        "constituents": mutant.constituents,
        "environments": mutant.environments,
        "kills": classification.kills,
        "union": classification.union,
        "intersection": classification.intersection,
        "inconclusive": mutant.inconclusive,
    }


def _group(mutant: ClassifiedMutant) -> tuple[str, str, str]:
    return mutant.environment, mutant.algorithm, mutant.kill_test


def _cells(mutant: ClassifiedMutant) -> list[Any]:
    classification = mutant.classification
    kills = f"{classification.kills} ({mutant.inconclusive} unsure)" if mutant.inconclusive else classification.kills
    return [
        mutant.mutant,
        kills,
        classification.union,
        classification.intersection,
        mutant.environments,
        classification.published,
        classification.strict,
    ]

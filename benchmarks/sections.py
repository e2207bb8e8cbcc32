"""Benchmarks of several sections: rows of named numbers, measured section by section, printed as tables or JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row of a section: what was simulated, and its numbers by the name of a column."""

    section: str
    case: str
    values: dict[str, float]


SimulationT = TypeVar("SimulationT")
Sections = Mapping[str, Callable[[SimulationT], Iterator[Measurement]]]


def run_sections(
    sections: Sections[SimulationT],
    names: Sequence[str],
    simulation: Callable[[np.random.Generator], SimulationT],
    seed: int,
    report: Callable[[str], None],
) -> list[Measurement]:
    """The named sections, each with its own generator, so that leaving one out changes no other."""
    started, rows = time.monotonic(), []
    for name in names:
        rng = np.random.default_rng([seed, list(sections).index(name)])
        for row in sections[name](simulation(rng)):
            report(f"{time.monotonic() - started:5.0f} s  {row.section}: {row.case}  {row.values}")
            rows.append(row)
    return rows


def per_cent(_column: str, value: float) -> str:
    """A share in per cent."""
    return f"{100 * value:.1f}"


def as_table(rows: Sequence[Measurement], cell: Callable[[str, float], str] = per_cent) -> str:
    """Markdown: a table per section; `cell` writes a value, given the name of its column."""
    parts = []
    for section in dict.fromkeys(row.section for row in rows):
        members = [row for row in rows if row.section == section]
        columns = list(members[0].values)
        lines = [f"| {section} | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
        lines += [f"| {row.case} | {' | '.join(cell(name, row.values[name]) for name in columns)} |" for row in members]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def as_json(rows: Sequence[Measurement]) -> str:
    """A list of objects, the numbers beside section and case."""
    return json.dumps([{"section": row.section, "case": row.case, **row.values} for row in rows], indent=2)

"""Histories as RETECS publishes them (Spieker et al. 2017): csv with any delimiter, durations in milliseconds.

Columns: Id; Name; Duration; CalcPrio; LastRun; LastResults; Verdict (1 failed); Cycle. `LastResults` is never read:
for a test that appears twice in a cycle it already contains the same cycle's earlier verdict. History is rebuilt from
earlier cycles.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from agents.scheduling.loaders.ci_history import CiHistory
from agents.scheduling.loaders.rows import delimiter_of, header, read_rows, seconds, whole_number
from agents.scheduling.loaders.table import Execution, checked_verdict, history_of
from envsearch.errors import InputError

COLUMNS = ("Name", "Duration", "Verdict", "Cycle")
MILLISECOND = 1e-3


def load_retecs(path: Path) -> CiHistory:
    """The history in a RETECS file.

    Raises:
        InputError: the file cannot be read or a cell is wrong; names the line and the column.
    """
    return history_of(_executions(path), path.stem, str(path))


def _executions(path: Path) -> Iterator[Execution]:
    source = str(path)
    for line, (name, duration, verdict, cycle) in read_rows(path, delimiter_of(header(path)), COLUMNS):
        if not name:
            raise InputError("is empty", f"line {line}, Name", "the name of a test", source)
        where = f"line {line}, Verdict"
        yield (
            whole_number(cycle, f"line {line}, Cycle", source),
            name,
            seconds(duration, f"line {line}, Duration", source, MILLISECOND),
            checked_verdict(whole_number(verdict, where, source), where, source),
        )

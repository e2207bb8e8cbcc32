"""The tests that a recorded history knows already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path


class KnownTests:
    """Names of the tests of one job, by cycle, in the order in which they ran."""

    def __init__(self, cycles: Sequence[tuple[int, str]] = ()) -> None:
        self._cycles = cycles
        self.names = {name for _, name in cycles}

    @classmethod
    def of_file(cls, history: Path, job: str) -> KnownTests:
        """Those of a recorded file; none if it does not exist.

        Raises:
            InputError: the file cannot be read.
        """
        import pyarrow.compute as pc

        from agents.scheduling.loaders.parquet import read_columns

        if not history.exists():
            return cls()
        table = read_columns(history, ("cycle", "job", "test"))
        own = table.filter(pc.equal(table["job"], job))
        return cls(list(zip(map(int, own["cycle"].to_pylist()), map(str, own["test"].to_pylist()), strict=True)))

    def of_modules(self, modules: Iterable[str]) -> list[str]:
        """The tests that each module had in the last cycle that has any of them."""
        return list(dict.fromkeys(name for module in modules for name in self._of_module(module)))

    def _of_module(self, module: str) -> list[str]:
        starts = (f"{module}::", f"{module}.")
        rows = [(cycle, name) for cycle, name in self._cycles if name.startswith(starts)]
        last = max((cycle for cycle, _ in rows), default=0)
        return [name for cycle, name in rows if cycle == last]

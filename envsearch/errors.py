"""Errors of the whole project, drawn as a tree.

    ProctorError
    ├── InputError               what the user gave is wrong; the command line prints one line, exit code 2
    │   ├── MutationRefusedError      an operator that cannot, need not or must not be applied to a recipe
    │   ├── CorruptArtifactError      a file that was written earlier cannot be read back
    │   └── StoreUnavailableError     the store's folder or bucket cannot be read or written
    └── CampaignStoppedError          a campaign ended before its verdicts for a reason its user must act on

They live here because `envsearch` is the package that all others import. Every class survives pickling:
all constructor arguments are positional and handed to ``Exception.__init__``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ProctorError(Exception):
    """Root of every error that Proctor raises on purpose."""


class InputError(ProctorError):
    """Something the user gave is wrong: names where, what, and what would be right.

    Args:
        problem: what is wrong, in one clause ("1.5 is out of range").
        field: the field, column or option that holds it ("operators[2].magnitude").
        expected: what would be right ("a probability in (0, 1]").
        source: the file or command that holds the field ("spec.yaml").
    """

    def __init__(self, problem: str, field: str = "", expected: str = "", source: str = "") -> None:
        super().__init__(problem, field, expected, source)
        self.problem = problem
        self.field = field
        self.expected = expected
        self.source = source

    def __str__(self) -> str:
        where = ": ".join(part for part in (self.source, self.field) if part)
        text = f"{where}: {self.problem}" if where else self.problem
        line = f"{text}; expected {self.expected}" if self.expected else text
        return " ".join(line.split())

    def located(self, source: str = "", field: str = "") -> InputError:
        """The same error with its place filled in where it was still unknown."""
        return type(self)(self.problem, self.field or field, self.expected, self.source or source)


class MutationRefusedError(InputError):
    """A mutation that cannot be applied, would change nothing, or would cancel or shadow another one."""


class CorruptArtifactError(InputError):
    """A stored file (checkpoint, record, table) that cannot be read back."""


class StoreUnavailableError(InputError):
    """The store itself fails (disk full, read-only folder, no access); no single item is to blame."""


class CampaignStoppedError(ProctorError):
    """A campaign ended before its verdicts; the text says why and what to change."""


def unknown_name(kind: str, name: str, known: Iterable[str], field: str = "", source: str = "") -> InputError:
    """The error for a name that is in no table, with the nearest known one."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    folded = {known_name.lower(): known_name for known_name in names}
    nearest = folded.get(name.lower()) or (near[0] if near else None)
    hint = f" (did you mean {nearest!r}?)" if nearest else ""
    return InputError(f"unknown {kind} {name!r}{hint}", field, f"one of {', '.join(names)}", source)

"""Bisection of one segment, as points to ask about and answers to receive.

A segment runs from the initial environment outwards. It is halved `levels` times, so its grid has 2**levels cells, none
longer than the precision. Plain bisection asks one grid point per round; with `width` points per round it becomes a
k-section *of the same grid*. So an oracle that is monotone along the segment leads to the same point, bit for bit,
whatever the width, and evaluations made for one width serve the other.

Source: Tambon et al., "Mutation Testing of Deep Reinforcement Learning Based on Real Faults", ICST 2023 (bisection from
the initial value towards the limit; the bound is the last accepted point). The k-section is Proctor's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from envsearch.errors import InputError

MAX_LEVELS = 40
"""A precision of less than the segment's 2**-40 is taken for a mistake (and would soon meet the limits of doubles)."""


def halvings(length: float, precision: float, field: str = "precision") -> int:
    """How often `length` must be halved to be at most `precision`; both in the same unit.

    Raises:
        InputError: more than `MAX_LEVELS` times.
    """
    levels = 0
    while length > precision:
        length /= 2.0
        levels += 1
        if levels > MAX_LEVELS:
            raise InputError(f"{precision:g} is too fine for these limits", field, f"at most {MAX_LEVELS} halvings")
    return levels


@dataclass(frozen=True, slots=True)
class Segment:
    """A straight line from `start` (initial environment) to `end`, halved `levels` times; coordinates in real units."""

    start: tuple[float, ...]
    end: tuple[float, ...]
    levels: int

    @property
    def cells(self) -> int:
        """Number of grid cells; grid indices run from 0 (start) to this (end)."""
        return 1 << self.levels

    def point(self, index: int) -> tuple[float, ...]:
        """The grid point, found by halving from both ends: the very floating-point numbers that bisection meets."""
        if index == 0:
            return self.start
        low, high, first, last = self.start, self.end, 0, self.cells
        while index != last:
            middle = tuple((a + b) / 2.0 for a, b in zip(low, high, strict=True))
            half = (first + last) // 2
            if index <= half:
                high, last = middle, half
            else:
                low, first = middle, half
        return high


class Bracket:
    """Where on a segment behaviour starts to differ, between a last accepted and a first rejected grid index.

    Rounds: `proposals` says which indices to ask about, `absorb` takes all their answers. The first round asks about
    the segment's end; if the end is accepted there is no edge on the segment and the end itself is the bound.
    """

    def __init__(self, cells: int, accepted: int = 0, rejected: int | None = None) -> None:
        self.accepted = accepted
        """Largest index up to which every queried point was accepted; 0 is the initial environment."""
        self.rejected = rejected
        """Smallest index that was rejected; None as long as none was."""
        self._cells = cells

    @property
    def done(self) -> bool:
        """Whether the bracket is one cell wide, or the end of the segment is accepted."""
        if self.rejected is None:
            return self.accepted == self._cells
        return self.rejected - self.accepted == 1

    def proposals(self, width: int) -> list[int]:
        """At most `width` indices, increasing, that cut the bracket into nearly equal parts; empty when done."""
        if self.done:
            return []
        if self.rejected is None:
            cuts, last = width, self._cells  # the end itself is probed as well
        else:
            cuts, last = width + 1, self.rejected
        gap = last - self.accepted
        inner = {self.accepted + gap * cut // cuts for cut in range(1, width + 1)}
        return sorted(inner - {self.accepted})

    def absorb(self, answers: Mapping[int, bool]) -> None:
        """Take the answers of one round (index -> accepted).

        Where they contradict each other, the rejection nearest to the initial environment counts.
        """
        for index in sorted(answers):
            if not answers[index]:
                self.rejected = index
                return
            self.accepted = index

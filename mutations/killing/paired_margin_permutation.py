"""The margin test for populations that were trained with the same seeds."""

from __future__ import annotations

from mutations.killing.margin_permutation import MarginPermutation


class PairedMarginPermutation(MarginPermutation):
    """Margin test of pairs: position i of both populations was trained with the same seed.

    Only the two agents of a pair are exchanged, and the interval of the difference is that of the pairs. This gains
    power where twins are alike, and is needed where they are unlike on purpose (a negative correlation). Everything
    else is as for `MarginPermutation`.
    """

    name: str = "paired_margin_permutation"
    summary: str = "margin_permutation that exchanges agents of the same seed only; populations of the same seeds"
    independent: bool = False

"""Numbers as report writers of any locale write them: ``0.160``, ``0,160``, ``1.234,56``, ``1,234.5``, ``1'234.5``.

Whether a comma separates decimals is decided over all numbers of a file. A number that stays unclear, or is not a
duration, is left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from enum import Enum

_SPACES = dict.fromkeys(map(ord, " \u00a0\u2009\u202f'\u2019\u066c"))
"""Characters that only ever group digits."""

_NUMBER = re.compile(r"[+-]?(?P<digits>[\d.,]*\d[\d.,]*)(?P<power>[eE][+-]?\d{1,3})?")
_GROUPED = re.compile(r"\d{1,3}(?:[.,]\d{2,3})*[.,]\d{3}")
_LONGEST = 64


class _Comma(Enum):
    """What the comma of a number is; OPEN: the number alone does not say."""

    DECIMAL = 1
    GROUP = 2
    OPEN = 3
    ABSENT = 4


def seconds_of(texts: Sequence[str | None]) -> list[float | None]:
    """The durations of one file; None: absent, unclear, negative or not a finite number."""
    plain = [_plain(text) for text in texts]
    decimal = _decided({_comma(text) for text in plain if text})
    return [None if text is None else _seconds(text, decimal) for text in plain]


def _plain(text: str | None) -> str | None:
    if text is None or len(text) > _LONGEST:
        return None
    return text.translate(_SPACES).replace("\u066b", ".").strip()


def _comma(text: str) -> _Comma:
    match = _NUMBER.fullmatch(text)
    if match is None:
        return _Comma.ABSENT
    digits = match["digits"]
    if "," not in digits:
        return _point(digits)
    if "." in digits:
        return _Comma.DECIMAL if digits.rindex(",") > digits.rindex(".") else _Comma.GROUP
    if digits.count(",") > 1:
        return _Comma.GROUP
    whole, _, rest = digits.partition(",")
    sure = len(rest) != 3 or len(whole) not in (1, 2, 3) or whole.startswith("0") or match["power"]
    return _Comma.DECIMAL if sure else _Comma.OPEN


def _point(digits: str) -> _Comma:
    """What a number without a comma says about the commas of others."""
    if digits.count(".") > 1:
        return _Comma.DECIMAL
    whole, point, rest = digits.partition(".")
    if not point or (len(rest) == 3 and len(whole) in (1, 2, 3) and not whole.startswith("0")):
        return _Comma.ABSENT
    return _Comma.GROUP


def _decided(kinds: set[_Comma]) -> bool | None:
    """Whether the comma is decimal in this file; None: nothing says so, or the numbers contradict each other."""
    if _Comma.DECIMAL in kinds:
        return None if _Comma.GROUP in kinds else True
    return False if _Comma.GROUP in kinds else None


def _seconds(text: str, decimal: bool | None) -> float | None:
    match = _NUMBER.fullmatch(text)
    if match is None or text.startswith("-"):
        return None
    digits = _digits(match["digits"], decimal, _comma(text))
    number = math.nan if digits is None else float(digits + (match["power"] or ""))
    return number if math.isfinite(number) else None


def _digits(digits: str, decimal: bool | None, own: _Comma) -> str | None:
    """The digits with a decimal point and without groups; None: unclear or malformed."""
    if own in (_Comma.DECIMAL, _Comma.GROUP) and "," in digits:
        decimal = own is _Comma.DECIMAL
    if decimal is None:
        if "," in digits or digits.count(".") > 1:
            return None
        decimal = False
    group, mark = (".", ",") if decimal else (",", ".")
    if decimal and "," not in digits and not _GROUPED.fullmatch(digits):
        group, mark = ",", "."  # 0.5 in a file of decimal commas
    whole, _, rest = digits.partition(mark)
    if mark in rest or group in rest or (group in whole and not _GROUPED.fullmatch(whole)):
        return None
    return f"{whole.replace(group, '') or '0'}.{rest or '0'}"

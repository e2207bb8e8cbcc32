"""Canonical form and content address of plain values: what makes a run, a recipe or a result *the same*."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from typing import Any


def plain(value: Any) -> Any:
    """A dataclass, mapping or sequence as nested dicts, lists and scalars, ready for JSON.

    Raises:
        ValueError: a number is NaN or infinite (neither has a canonical JSON form).
        TypeError: a value is not plain data.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} has no canonical form")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"{type(value).__name__} is not plain data")


def canonical_json(value: Any) -> str:
    """One text per value: sorted keys, no white space; integral floats stay floats."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_address(kind: str, value: Any) -> str:
    """SHA-256 (hex, 64 characters) of a value's kind and canonical form."""
    return hashlib.sha256(f"{kind}\n{canonical_json(value)}".encode()).hexdigest()

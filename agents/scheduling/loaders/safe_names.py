"""Names of tests as every part of the product takes them."""

from __future__ import annotations

import hashlib
import re

LONGEST_NAME = 990
"""Characters: the limit of the service, less room for the number of a repeated row."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u200e\u200f\u2066-\u2069]+")


def safe_name(text: str) -> str:
    """One line of at most `LONGEST_NAME` characters; a longer name ends with a digest."""
    name = _CONTROL.sub(" ", text)
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{name[: LONGEST_NAME - 17]}~{digest}"

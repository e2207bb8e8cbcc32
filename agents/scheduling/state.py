"""Learner state: a plain mapping of arrays, numbers and texts, saved without pickle and restored bit for bit."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.scheduling.formats import AGENT_FORMATS
from envsearch.errors import CorruptArtifactError

StateValue = NDArray[Any] | int | float | bool | str
State = dict[str, StateValue]
"""Flat; nested parts use dotted names (``history.verdicts``)."""


def to_bytes(state: State) -> bytes:
    """A compressed .npz without pickled objects; equal states give equal arrays, not always equal bytes.

    Raises:
        TypeError: a value is not a plain array, number or text.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for name, value in state.items():
        array = np.asarray(value)
        if array.dtype == object:
            raise TypeError(f"{name} is not a plain array, number or text")
        arrays[name] = array
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return AGENT_FORMATS.marked("state", buffer.getvalue())


def from_bytes(data: bytes, name: str = "state") -> State:
    """The inverse of `to_bytes`: 0-d arrays come back as Python scalars.

    Raises:
        CorruptArtifactError: the bytes are not such a file, hold pickled objects, or have an unknown version.
    """
    version, body = AGENT_FORMATS.unmarked("state", data, name)
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
            state = {key: _scalar(arrays[key]) for key in arrays.files}
    except Exception as error:  # zipfile and numpy each raise their own kinds on damaged bytes
        raise CorruptArtifactError(f"cannot be read ({type(error).__name__})", name, "a saved learner state") from error
    upcast: State = AGENT_FORMATS.upcast("state", version, state)
    return upcast


def prefixed(prefix: str, state: State) -> State:
    """The state of a part, under its dotted name."""
    return {f"{prefix}.{name}": value for name, value in state.items()}


def part(prefix: str, state: State) -> State:
    """The inverse of `prefixed`: the part's own state."""
    start = f"{prefix}."
    return {name[len(start) :]: value for name, value in state.items() if name.startswith(start)}


def _scalar(array: NDArray[Any]) -> StateValue:
    value: StateValue = array.item() if array.ndim == 0 else array
    return value

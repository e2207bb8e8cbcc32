"""Checkpoints of a training: its arrays as bytes, with a hash and a description of the training.

The bytes are a line that names the format and the SHA-256 of the rest, then an ``.npz`` file (no pickle). A resumed
training gives the same bits as an uninterrupted one, so a checkpoint of another program (another version of this
engine or of JAX, another type of processor) is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from agents.deeprl.engines.base import Checkpoints
from agents.deeprl.engines.fleet.training import Training
from envsearch.canonical import canonical_json, plain

MAGIC = b"proctor fleet training 1 "
ABOUT = "about"
"""The array that holds the description of the training, as JSON."""


class CheckpointRefusedError(Exception):
    """A checkpoint that cannot be resumed from, with the reason."""


def encode(about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays and the description of their training as bytes."""
    file = io.BytesIO()
    described = np.frombuffer(canonical_json(plain(about)).encode(), np.uint8)
    np.savez(file, **{ABOUT: described}, **arrays)  # type: ignore[arg-type]
    body = file.getvalue()
    return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def decode(data: bytes, about: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """The arrays of `encode`.

    Raises:
        CheckpointRefusedError: the bytes are damaged, or belong to another training.
    """
    head, separator, body = data.partition(b"\n")
    if not separator or not head.startswith(MAGIC):
        raise CheckpointRefusedError("it is cut short, or has another format")
    if hashlib.sha256(body).hexdigest().encode() != head.removeprefix(MAGIC):
        raise CheckpointRefusedError("it is damaged (its SHA-256 is not the recorded one)")
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        recorded = json.loads(arrays.pop(ABOUT).tobytes())
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointRefusedError(f"it cannot be read ({error})") from error
    expected = json.loads(canonical_json(plain(about)))
    different = sorted(name for name in expected if recorded.get(name) != expected[name])
    if different:
        raise CheckpointRefusedError(f"it belongs to another {', '.join(different)}")
    return arrays


def about(training: Training) -> dict[str, Any]:
    """The description of this training in its checkpoints."""
    return {
        "recipe": training.recipe.address,
        "seeds": list(training.seeds),
        "selection": plain(training.selection),
        "version": ENGINE_VERSION,
    }


def resumed(training: Training, checkpoints: Checkpoints) -> Training:
    """A training that has not begun, restored from its checkpoint if there is one that fits."""
    data = checkpoints.load()
    if data is None:
        return training
    try:
        training.restore(decode(data, about(training)))
    except CheckpointRefusedError as error:
        checkpoints.refuse(str(error))
    except (KeyError, ValueError) as error:
        checkpoints.refuse(f"its arrays are not this training's ({error})")
        return Training(training.recipe, training.seeds, training.selection)  # the other may be partly restored
    return training


def keep(training: Training, checkpoints: Checkpoints) -> None:
    """Save the state of a training."""
    checkpoints.save(encode(about(training), training.arrays()))


def _engine_version() -> str:
    digest = hashlib.sha256(f"{jax.__version__} {np.__version__} {platform.machine()}".encode())
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


ENGINE_VERSION = _engine_version()
"""A hash of this engine's own source, of JAX's and NumPy's version and of the processor's type."""

"""Checkpoints: ordinary Stable-Baselines3 zip files, as bytes.

Nothing in one is ever executed: see `checkpoint_data`.
"""

from __future__ import annotations

import hashlib
import io
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.deeprl.algorithms import algorithm_class
from agents.deeprl.checkpoint_data import RefusedPickleError, readable
from envsearch.errors import CorruptArtifactError

_SEAMS = (
    "rollout_buffer_class",
    "rollout_buffer_kwargs",
    "replay_buffer_class",
    "replay_buffer_kwargs",
    "_acted_on",
    "train",
    "ep_info_buffer",
    "ep_success_buffer",
)
"""Attributes that hold a fault's seam or a wall-clock time: a saved agent must load without Proctor."""


def to_bytes(model: BaseAlgorithm) -> bytes:
    """The model as a zip file that the algorithm's own ``load`` opens."""
    buffer = io.BytesIO()
    model.save(buffer, exclude=_SEAMS)
    return buffer.getvalue()


def from_bytes(checkpoint: bytes, algorithm: str, name: str = "checkpoint") -> BaseAlgorithm:
    """A model for prediction; its replay buffer is kept small, so loading costs milliseconds.

    Args:
        checkpoint: a Stable-Baselines3 zip file.
        algorithm: table name or import path of its algorithm.
        name: what to call the file in errors.

    Raises:
        CorruptArtifactError: the bytes are not such a file, exceed a bound, or need code that is not read from files.
    """
    kind = algorithm_class(algorithm)
    try:
        plain, objects = readable(checkpoint, kind)
        custom: dict[str, Any] = {**objects, "buffer_size": 1}
        return kind.load(io.BytesIO(plain), device="cpu", custom_objects=custom)
    except RefusedPickleError as error:
        raise CorruptArtifactError(f"cannot be read ({error})", name, "a network of known classes") from error
    except Exception as error:  # zipfile, torch and pickle each raise their own kinds on damaged bytes
        raise CorruptArtifactError(
            f"cannot be read ({type(error).__name__})", name, f"a Stable-Baselines3 {algorithm} zip file"
        ) from error


def weights_finite(model: BaseAlgorithm) -> bool:
    """Whether all parameters and buffers of the policy are finite; if not, the agent is dead."""
    return all(
        bool(torch.isfinite(tensor).all())
        for tensor in model.policy.state_dict().values()
        if tensor.is_floating_point()
    )


def weights_digest(model: BaseAlgorithm) -> str:
    """SHA-256 over the policy's parameters and buffers: names, shapes and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.policy.state_dict().items()):
        values = tensor.detach().to(torch.device("cpu")).contiguous()
        digest.update(f"{name} {tuple(values.shape)} {values.dtype}".encode())
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()

"""What a Stable-Baselines3 zip file says beside its weights, read without executing anything of it.

The library keeps the objects of an algorithm (policy class, spaces, schedules) as pickles inside the file, and a pickle
runs whatever it names. Here a pickle may name the classes and array constructors of one short list, and no others: a
file from anywhere can be read, and at worst it is refused.
"""

from __future__ import annotations

import base64
import io
import json
import pickle
import zipfile
from typing import Any

import gymnasium
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

MOST_BYTES = 1 << 30
"""Of a whole file, unpacked: networks of tests have some hundred kilobytes."""

MOST_DATA_BYTES = 4 << 20
"""Of what a file says beside its weights."""

MOST_MEMBERS = 64

_DATA = "data"
_SERIALIZED = ":serialized:"
_NEEDED = ("policy_class", "policy_kwargs", "observation_space", "action_space")
"""Without these no network can be built."""

_NAMES = {
    *(("numpy", name) for name in ("dtype", "ndarray")),
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    *(("numpy.random._pickle", f"__{name}_ctor") for name in ("generator", "bit_generator")),
    ("numpy.random._pcg64", "PCG64"),
    ("numpy.random.bit_generator", "SeedSequence"),
    ("numpy.random.bit_generator", "__pyx_unpickle_SeedSequence"),
    *(("stable_baselines3.common.type_aliases", name) for name in ("TrainFreq", "TrainFrequencyUnit")),
    *(("stable_baselines3.common.utils", f"{name}Schedule") for name in ("Float", "Constant", "Linear")),
    ("collections", "OrderedDict"),
}
"""What may be named besides the classes of `_BASES`: it makes numbers, arrays, generators and schedules."""

_PACKAGES = ("stable_baselines3", "torch.nn.modules", "torch.optim", "gymnasium.spaces")
_BASES = (torch.nn.Module, torch.optim.Optimizer, gymnasium.Space)


class RefusedPickleError(pickle.UnpicklingError):
    """A pickle names something that is not on the list."""


class _Unpickler(pickle.Unpickler):
    """Names of the list only.

    Args:
        own: package of the algorithm; its networks are as trusted as the algorithm, which the user named.
    """

    def __init__(self, data: bytes, own: str) -> None:
        super().__init__(io.BytesIO(data))
        self._packages = (*_PACKAGES, own)

    def find_class(self, module: str, name: str) -> Any:
        """The object of that name.

        Raises:
            RefusedPickleError: it is not on the list.
        """
        if (module, name) in _NAMES:
            return super().find_class(module, name)
        if "." not in name and any(module == package or module.startswith(f"{package}.") for package in self._packages):
            item = super().find_class(module, name)
            if isinstance(item, type) and issubclass(item, _BASES):
                return item
        raise RefusedPickleError(f"{module}.{name} is not read from files")


def readable(checkpoint: bytes, algorithm: type[BaseAlgorithm]) -> tuple[bytes, dict[str, Any]]:
    """The file without its pickles, and what they held, for the library's ``load(..., custom_objects=...)``.

    What is not on the list is left out, unless the network cannot be built without it.

    Raises:
        ValueError: the file is larger than the bounds, or says nothing about its network.
        RefusedPickleError: what the network needs is not on the list.
        Exception: of zipfile, json and pickle, on damaged bytes.
    """
    own = algorithm.__module__.partition(".")[0]
    with zipfile.ZipFile(io.BytesIO(checkpoint)) as archive:
        _check_bounds(archive)
        data: dict[str, Any] = dict(json.loads(archive.read(_DATA)))
        objects = _objects(data, own)
        plain = {name: value for name, value in data.items() if not _is_pickle(value)}
        return _without_pickles(archive, plain | dict.fromkeys(objects)), objects


def _check_bounds(archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    if len(members) > MOST_MEMBERS or sum(member.file_size for member in members) > MOST_BYTES:
        raise ValueError(f"unpacks to more than {MOST_BYTES >> 20} MiB or {MOST_MEMBERS} files")
    if archive.getinfo(_DATA).file_size > MOST_DATA_BYTES:
        raise ValueError(f"holds more than {MOST_DATA_BYTES >> 20} MiB in addition to its weights")


def _is_pickle(value: Any) -> bool:
    return isinstance(value, dict) and _SERIALIZED in value


def _objects(data: dict[str, Any], own: str) -> dict[str, Any]:
    values = {}
    for name, value in data.items():
        if _is_pickle(value):
            try:
                values[name] = _Unpickler(base64.b64decode(str(value[_SERIALIZED])), own).load()
            except Exception:
                if name in _NEEDED:
                    raise
    return values


def _without_pickles(archive: zipfile.ZipFile, data: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as copy:
        copy.writestr(_DATA, json.dumps(data))
        for member in archive.infolist():
            if member.filename.endswith(".pth"):
                copy.writestr(member.filename, archive.read(member))
    return buffer.getvalue()

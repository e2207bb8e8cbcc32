"""A checkpoint from anywhere: its weights are read, its pickles are never run, its size is bounded."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise

from agents.deeprl import checkpoint_data
from agents.deeprl.checkpoint import from_bytes, to_bytes, weights_digest
from agents.deeprl.engines.fleet.evaluation_policies import read_policy
from agents.deeprl.recipe import PolicySite
from envsearch.errors import CorruptArtifactError

Edit = Callable[[dict[str, Any]], None]


def agent(kind: type[BaseAlgorithm] = PPO) -> BaseAlgorithm:
    return kind("MlpPolicy", "CartPole-v1", policy_kwargs={"net_arch": [4]}, seed=1)  # type: ignore[call-arg]


@pytest.fixture(scope="module")
def checkpoint() -> bytes:
    return to_bytes(agent())


def changed(checkpoint: bytes, edit: Edit | None = None, **members: bytes) -> bytes:
    """The file with other data, and other or more members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(checkpoint)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "data" and edit is not None:
                data = json.loads(content)
                edit(data)
                content = json.dumps(data).encode()
            if name not in members:
                new.writestr(name, content)
        for name, content in members.items():
            new.writestr(name, content)
    return buffer.getvalue()


def pickled(value: Any) -> dict[str, str]:
    return {":type:": "x", ":serialized:": base64.b64encode(pickle.dumps(value)).decode()}


class Runs:
    """Runs a function when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> Any:
        return self.reduced


@pytest.mark.parametrize("kind", [PPO, A2C, DQN])
def test_our_own_file_gives_the_same_agent(kind: type[BaseAlgorithm]) -> None:
    model = agent(kind)
    copy = from_bytes(to_bytes(model), kind.__name__.lower())
    assert weights_digest(copy) == weights_digest(model)
    assert copy.observation_space == model.observation_space
    seen = np.linspace(-1, 1, 40, dtype=np.float32).reshape(10, 4)
    assert (copy.predict(seen, deterministic=True)[0] == model.predict(seen, deterministic=True)[0]).all()


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (SAC, {"train_freq": (2, "episode"), "policy_kwargs": {"net_arch": [4], "activation_fn": torch.nn.GELU}}),
        (TD3, {"action_noise": NormalActionNoise(np.zeros(1), np.ones(1)), "policy_kwargs": {"net_arch": [4]}}),
        (PPO, {"learning_rate": lambda left: left * 1e-3, "clip_range": lambda _: 0.2, "use_sde": True}),
        (PPO, {"policy_kwargs": {"optimizer_class": torch.optim.AdamW, "net_arch": {"pi": [4], "vf": []}}}),
    ],
)
def test_other_algorithms_and_settings_act_the_same(kind: type[BaseAlgorithm], settings: dict[str, Any]) -> None:
    memory: dict[str, Any] = {} if kind is PPO else {"buffer_size": 10}
    model = kind("MlpPolicy", "Pendulum-v1", seed=1, **memory, **settings)  # type: ignore[call-arg]
    copy = from_bytes(to_bytes(model), f"stable_baselines3:{kind.__name__}")
    assert weights_digest(copy) == weights_digest(model)
    seen = np.linspace(-1, 1, 30, dtype=np.float32).reshape(10, 3)
    assert (copy.predict(seen, deterministic=True)[0] == model.predict(seen, deterministic=True)[0]).all()


@pytest.mark.parametrize("field", ["policy_class", "policy_kwargs", "observation_space", "lr_schedule", "new"])
@pytest.mark.parametrize("function", [os.mkdir, eval, exec, torch.load, getattr])
def test_a_malicious_pickle_is_not_run(checkpoint: bytes, field: str, function: Any, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = f"__import__('os').mkdir({str(mark)!r})"
    arguments = {os.mkdir: (str(mark),), torch.load: (str(mark),), getattr: ("os", "upper")}.get(function, (code,))

    def plant(data: dict[str, Any]) -> None:
        data[field] = pickled(Runs(function, *arguments))

    evil = changed(checkpoint, plant)
    if field in ("policy_class", "policy_kwargs", "observation_space"):
        with pytest.raises(CorruptArtifactError, match="is not read from files"):
            from_bytes(evil, "ppo")
    else:  # the network can be built without it
        assert weights_digest(from_bytes(evil, "ppo")) == weights_digest(from_bytes(checkpoint, "ppo"))
    assert not mark.exists()


def test_the_trap_works_where_the_library_loads_it(checkpoint: bytes, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    evil = changed(checkpoint, lambda data: data.update(new=pickled(Runs(os.mkdir, str(mark)))))
    PPO.load(io.BytesIO(evil), device="cpu")
    assert mark.exists(), "the tests above would pass with a file that does nothing"


def test_weights_are_no_pickles_either(checkpoint: bytes, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    buffer = io.BytesIO()
    torch.save({"x": Runs(os.mkdir, str(mark))}, buffer)
    evil = changed(checkpoint, None, **{"policy.pth": buffer.getvalue()})
    with pytest.raises(CorruptArtifactError):
        from_bytes(evil, "ppo")
    with pytest.raises(pickle.UnpicklingError):
        read_policy(evil, "ppo", PolicySite("Tanh", "Adam", (), (4,)))
    assert not mark.exists()


def test_a_file_that_unpacks_to_too_much_is_refused_unread(checkpoint: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_data, "MOST_BYTES", 1 << 20)
    with pytest.raises(CorruptArtifactError):
        from_bytes(changed(checkpoint, None, **{"big.pth": bytes(1 << 21)}), "ppo")
    with pytest.raises(CorruptArtifactError):
        from_bytes(changed(checkpoint, None, **{f"{number}.pth": b"" for number in range(100)}), "ppo")
    monkeypatch.setattr(checkpoint_data, "MOST_DATA_BYTES", 100)
    with pytest.raises(CorruptArtifactError):
        from_bytes(checkpoint, "ppo")


@pytest.mark.parametrize("data", [b"[]", b"{}", b"", b"[" * 100_000, b"\xff"])
def test_data_that_say_nothing_are_refused(checkpoint: bytes, data: bytes) -> None:
    with pytest.raises(CorruptArtifactError):
        from_bytes(changed(checkpoint, data=data), "ppo")


@settings(max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(min_value=0), value=st.integers(0, 255), cut=st.integers(0, 2000))
def test_damaged_bytes_are_one_kind_of_error(checkpoint: bytes, place: int, value: int, cut: int) -> None:
    damaged = bytearray(checkpoint)
    damaged[place % len(damaged)] = value
    with contextlib.suppress(CorruptArtifactError):
        from_bytes(bytes(damaged[: len(damaged) - cut]), "ppo")

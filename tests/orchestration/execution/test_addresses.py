"""Addresses of trained agents stay as they were, except where the same recipe now trains other bits."""

from __future__ import annotations

import pytest

from agents.deeprl.engines.base import AgentSelection
from agents.deeprl.presets.preset import preset
from envsearch.spec import EnvironmentSpec
from mutations.folding import mutate
from mutations.parsing import parse_mutant
from orchestration.execution.work import AgentKey

CARTPOLE = EnvironmentSpec("CartPole-v1")
RECIPES = {algorithm: preset(CARTPOLE.name, algorithm).recipe(CARTPOLE) for algorithm in ("ppo", "a2c", "dqn")}

OF_0_1 = {
    ("ppo", "Healthy"): "fd14e05caafd",
    ("ppo", "ILF"): "6e7967b80b1a",
    ("ppo", "NDF"): "ee4cd2c0f6b3",
    ("ppo", "NR"): "6d6b2dc4e402",
    ("ppo", "MSU"): "1c751f06e9a8",
    ("ppo", "MTS[published]"): "ba55a24a02b8",
    ("ppo", "PAC_ReLU"): "ca4cdf213394",
    ("ppo", "POC_SGD"): "4734cca0be7b",
    ("ppo", "M_1.0[published]"): "239601fb6f74",
    ("ppo", "Ra_1.0[published]"): "88ebf414d49f",
    ("ppo", "R_1.0"): "eda44bba8569",
    ("ppo", "R_1.0[published]"): "3b91f1a92588",
    ("ppo", "RN_1.0"): "1ed0ae3b51f0",
    ("a2c", "Healthy"): "ff68d513d1bc",
    ("dqn", "Healthy"): "f78389083c16",
    ("dqn", "MTS"): "4e5f38733a15",
    ("dqn", "MTS_0.5"): "43e6901956d5",
}
"""First 12 digits of the addresses that version 0.1.0 gave to the agent of seed 0 (sb3 engine, final model)."""

RETRAINED = {
    ("ppo", "M_1.0"): "93c4c97024b2",
    ("ppo", "Ra_1.0"): "a74128b0306f",
    ("ppo", "MTS"): "4bfaf0f46b3d",
    ("a2c", "MTS_0.5"): "01e1ac371758",
    ("dqn", "Ra_1.0"): "d041d13b682c",
    ("dqn", "M_0.5"): "acca8b0ae03e",
}
"""The same, for mutants that mean another fault since 0.2.0."""

MEMORY_CLEARED = [key for key in RETRAINED if key[1].startswith(("M_", "Ra_"))]


BEST = AgentSelection("best")


def address(algorithm, mutant):
    return AgentKey(mutate(RECIPES[algorithm], parse_mutant(mutant)), 0).address()[:12]


@pytest.mark.parametrize(("algorithm", "mutant"), OF_0_1)
def test_agents_that_are_the_same_keep_their_address(algorithm, mutant):
    assert address(algorithm, mutant) == OF_0_1[algorithm, mutant]


@pytest.mark.parametrize(("algorithm", "mutant"), RETRAINED)
def test_a_stored_agent_of_the_old_fault_is_not_taken_for_the_new_one(algorithm, mutant):
    assert address(algorithm, mutant) != RETRAINED[algorithm, mutant]


@pytest.mark.parametrize(("algorithm", "mutant"), MEMORY_CLEARED)
def test_the_cleared_memory_is_the_fault_of_0_1(algorithm, mutant):
    assert address(algorithm, f"{mutant}[memory=cleared]") == RETRAINED[algorithm, mutant]


def test_the_fleet_engine_keeps_its_addresses_too():
    assert AgentKey(RECIPES["ppo"], 3, "fleet").address()[:12] == "a068570c9566"


def test_the_earliest_of_equal_checkpoints_is_not_taken_for_the_latest():
    assert AgentKey(RECIPES["ppo"], 0, selection=BEST).address()[:12] != "70a6d13f6bd8"
    assert AgentKey(RECIPES["dqn"], 0, selection=BEST).address()[:12] != "7def31a58e71"

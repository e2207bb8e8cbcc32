"""Which engine trains a campaign's agents, which one evaluates them, and why."""

from __future__ import annotations

from typing import Final, Literal

from agents.deeprl.engines.registry import ENGINES, engine
from agents.deeprl.recipe import TrainingRecipe
from envsearch.errors import InputError, MutationRefusedError, unknown_name
from mutations.folding import mutate
from mutations.mutant import Mutant
from orchestration.execution.work import EvaluationMethod

AUTO: Final = "auto"


def choose_engine(requested: str, healthy: TrainingRecipe, mutants: tuple[Mutant, ...]) -> tuple[str, str]:
    """The engine of all agents, and a sentence that says why it was chosen.

    A mutant is compared with the healthy agents of the same seeds. Two engines draw different random numbers from one
    seed, so a campaign never mixes them: if the fleet cannot train one recipe, sb3 trains all of them.

    Raises:
        InputError: no such engine, or it cannot train the healthy agent.
        MutationRefusedError: it cannot train a mutant.
    """
    if requested not in (AUTO, *ENGINES):
        raise unknown_name("engine", requested, (AUTO, *ENGINES), "engine")
    if requested != AUTO:
        _refuse_untrainable(requested, healthy, mutants)
        return requested, f"Engine: {requested}, as the spec says."
    fleet = engine("fleet")
    for name, recipe in (("the healthy agent", healthy), *((each.id, mutate(healthy, each)) for each in mutants)):
        reason = fleet.objection(recipe)
        if reason is not None:
            _refuse_untrainable("sb3", healthy, mutants)
            return "sb3", (
                f"Engine: sb3 for all agents, because the fleet cannot train {name} ({reason}), and agents are only "
                "compared with agents of the same engine."
            )
    return "fleet", "Engine: fleet, which trains the seeds of a population together; it can train every recipe here."


def evaluation_method(requested: Literal["auto", "fleet", "sb3"], engine_name: str) -> EvaluationMethod:
    """The fleet evaluates what the fleet and sb3 have trained; a user's own engine is evaluated by the reference."""
    if requested == AUTO:
        return "fleet" if engine_name in ("fleet", "sb3") else "sb3"
    return requested


def _refuse_untrainable(engine_name: str, healthy: TrainingRecipe, mutants: tuple[Mutant, ...]) -> None:
    """Refuse now what the engine cannot train, with the engine's objection."""
    trainer = engine(engine_name)
    reason = trainer.objection(healthy)
    if reason is not None:
        raise InputError(f"engine {engine_name} cannot train the healthy agent ({reason})", "hyperparameters")
    for mutant in mutants:
        reason = trainer.objection(mutate(healthy, mutant))
        if reason is not None:
            field = "higher_order.mutants" if mutant.order > 1 else "operators"
            raise MutationRefusedError(f"engine {engine_name} cannot train {mutant.id} ({reason})", field)

"""What every mutation operator must do; run on the built-in ones by the tests, on a user's own by ``proctor check``."""

from __future__ import annotations

import dataclasses
import itertools
import json
import pickle
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from agents.deeprl.engines.base import AgentSelection, Engine
from agents.deeprl.presets import preset
from agents.deeprl.recipe import TrainingRecipe
from envsearch.checks import Check
from envsearch.errors import MutationRefusedError
from envsearch.spec import EnvironmentSpec
from mutations.folding import in_effect, objection, written_fields
from mutations.mutant import Mutant, Mutation
from mutations.operator import ChoiceMagnitude, MutationOperator, ProbabilityMagnitude
from mutations.parsing import parse_mutation, parse_operators
from mutations.registry import OPERATORS

RESERVED = frozenset(("operator", "magnitude", "magnitudes", "variant"))
"""Keys of a mutation in a spec that no option may be named after."""

SHORT: dict[str, tuple[int, dict[str, Any]]] = {
    "ppo": (256, {"n_steps": 64, "batch_size": 32, "n_epochs": 2, "net_arch": [16, 16]}),
    "a2c": (200, {"net_arch": [16, 16]}),
    "dqn": (
        300,
        {"learning_starts": 50, "train_freq": 16, "gradient_steps": 8, "batch_size": 16, "net_arch": [16, 16]},
    ),
}
"""Algorithm -> steps and hyper-parameters of a training that takes a fraction of a second and ends some episodes."""


_Digest = Callable[[TrainingRecipe], str]
"""Trains one agent of a recipe and gives the digest of its weights."""


@dataclass(frozen=True, slots=True)
class _Subject:
    """The operator, the name that mutations call it by, and the healthy recipes it is tried on."""

    operator: MutationOperator
    name: str
    recipes: tuple[TrainingRecipe, ...]

    def mutation(
        self, magnitude: float | str | None, variant: str = "defined", options: tuple[tuple[str, str], ...] = ()
    ) -> Mutation:
        return Mutation(self.name, magnitude, variant, options)

    def plain(self) -> list[Mutation]:
        """One mutation per magnitude worth trying, everything else at its default."""
        return [self.mutation(magnitude) for magnitude in _magnitudes(self.operator)]

    def cases(self) -> Iterator[tuple[TrainingRecipe, Mutation]]:
        """Every recipe with every setting that the operator does not refuse there."""
        settings = [dict(pairs) for pairs in itertools.product(*_option_pairs(self.operator))]
        mutations = [
            self.mutation(magnitude, variant, tuple(sorted(options.items())))
            for magnitude in _magnitudes(self.operator)
            for variant in self.operator.variants
            for options in settings
        ]
        for recipe, mutation in itertools.product(self.recipes, mutations):
            if self.operator.objection(recipe) is None and not _refuses(self.operator, recipe, mutation):
                yield recipe, mutation


def short_recipes() -> tuple[TrainingRecipe, ...]:
    """Healthy CartPole recipes of PPO, A2C and DQN that train in a fraction of a second."""
    cartpole = EnvironmentSpec("CartPole-v1")
    return tuple(
        preset(cartpole.name, algorithm).recipe(cartpole, steps, overrides)
        for algorithm, (steps, overrides) in SHORT.items()
    )


def check_operator(
    operator: MutationOperator,
    recipes: Sequence[TrainingRecipe] | None = None,
    engine: Engine | None = None,
    name: str = "",
    seed: int = 0,
) -> list[Check]:
    """Every clause of the contract, each with what was seen; a failing clause does not stop the others.

    Never raises for a bad operator. If its metadata are not complete, that is the only check.

    Args:
        operator: what is checked.
        recipes: healthy recipes to try it on; by default short CartPole ones of PPO, A2C and DQN.
        engine: with one, agents are really trained (one per recipe healthy, mutated and at probability 0).
        name: the acronym or import path that mutations call it by; by default that of its class.
        seed: of the trainings.
    """
    subject = _Subject(operator, name or _name_of(operator), short_recipes() if recipes is None else tuple(recipes))
    described = _checked("its metadata are complete", _metadata, subject)
    if not described.passed:
        return [described]
    clauses: dict[str, Callable[[_Subject], str]] = {
        "it applies to a recipe": _applies,
        "it leaves the recipe unchanged and gives the same result twice": _pure,
        "it writes the sites it declares, and no others": _sites,
        "the mutated recipe survives JSON and pickling": _serialisable,
        "it refuses wrong settings": _refuses_wrong_settings,
        "ids are read back": _round_trip,
    }
    if isinstance(operator.magnitude, ProbabilityMagnitude):
        clauses["probability 0 is the healthy recipe in effect"] = _neutral_recipe
    checks = [described, *(_checked(clause_name, clause, subject) for clause_name, clause in clauses.items())]
    return checks if engine is None else [*checks, *_trained(subject, cache(partial(_digest, engine, seed)))]


def _checked(name: str, clause: Callable[[_Subject], str], subject: _Subject) -> Check:
    try:  # a user's operator may fail in any way; the check reports how
        fault = clause(subject)
    except Exception as error:  # noqa: BLE001
        fault = f"raised {type(error).__name__}: {error}"
    return Check(name, not fault, fault)


def _metadata(subject: _Subject) -> str:
    operator = subject.operator
    texts = [f for f in ("acronym", "name", "definition", "source") if not _is_text(getattr(operator, f, None))]
    if texts:
        return f"{', '.join(texts)}: no text"
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", operator.acronym):
        return f"acronym {operator.acronym!r} is not letters and digits"
    if operator.level not in ("environment", "agent"):
        return f"level is {operator.level!r}, not environment or agent"
    if not isinstance(operator.magnitude, ProbabilityMagnitude | ChoiceMagnitude):
        return f"magnitude is {operator.magnitude!r}, not a ProbabilityMagnitude or ChoiceMagnitude"
    if isinstance(operator.magnitude, ChoiceMagnitude) and not operator.magnitude.choices:
        return "magnitude has no choices"
    if not operator.sites or isinstance(operator.sites, str):
        return "sites is not a tuple of recipe fields"
    if tuple(operator.variants)[:1] != ("defined",):
        return f"variants are {operator.variants!r}; the first must be 'defined'"
    bad = [name for name, values in operator.options if name in RESERVED or not values]
    return f"option {bad[0]!r} is a reserved name or has no values" if bad else ""


def _applies(subject: _Subject) -> str:
    reasons = []
    for recipe in subject.recipes:
        reason = subject.operator.objection(recipe)
        if not (reason is None or _is_text(reason)):
            return f"objection returned {reason!r}, not a reason or None"
        kinds = [objection(recipe, Mutant((mutation,))) for mutation in subject.plain()] if reason is None else [reason]
        if None in kinds:
            return ""
        reasons += [f"{recipe.algorithm}: {kinds[0]}"]
    return "; ".join(reasons) or "no recipes were passed in"


def _pure(subject: _Subject) -> str:
    for recipe, mutation in subject.cases():
        before = recipe.to_plain()
        first, second = subject.operator.apply(recipe, mutation), subject.operator.apply(recipe, mutation)
        if recipe.to_plain() != before:
            return f"{mutation.id} changed the {recipe.algorithm} recipe passed to it"
        if first != second:
            return f"{mutation.id} gives two recipes for one ({recipe.algorithm})"
    return ""


def _sites(subject: _Subject) -> str:
    declared, seen = subject.operator.sites, set()
    for recipe, mutation in subject.cases():
        for written in written_fields(recipe, subject.operator.apply(recipe, mutation)):
            site = next((site for site in declared if written == site or written.startswith(f"{site}.")), None)
            if site is None:
                return f"{mutation.id} writes {written}, which is not in sites"
            seen.add(site)
    unwritten = [site for site in declared if site not in seen]
    return f"no setting writes {', '.join(unwritten)}" if unwritten else ""


def _serialisable(subject: _Subject) -> str:
    for recipe, mutation in subject.cases():
        mutated = subject.operator.apply(recipe, mutation)
        if not isinstance(mutated, TrainingRecipe):
            return f"{mutation.id} gives {type(mutated).__name__}, not a TrainingRecipe"
        if TrainingRecipe.from_plain(json.loads(json.dumps(mutated.to_plain(), allow_nan=False))) != mutated:
            return f"the recipe of {mutation.id} changes in JSON"
        if pickle.loads(pickle.dumps(mutated)) != mutated:
            return f"the recipe of {mutation.id} changes when pickled"
    return ""


def _refuses_wrong_settings(subject: _Subject) -> str:
    operator = subject.operator
    good = subject.plain()[-1]
    magnitudes: tuple[Any, ...] = (-0.1, 1.5, float("nan"), float("inf"), True, "no-such-magnitude")
    required = isinstance(operator.magnitude, ChoiceMagnitude) or operator.magnitude.required
    wrong = [dataclasses.replace(good, magnitude=value) for value in magnitudes]
    wrong += [dataclasses.replace(good, magnitude=None)] if required else []
    wrong += [dataclasses.replace(good, variant="no-such-variant")]
    wrong += [dataclasses.replace(good, options=(("no_such_option", "x"),))]
    wrong += [dataclasses.replace(good, options=((name, "no-such-value"),)) for name, _ in operator.options]
    recipe = next((recipe for recipe in subject.recipes if operator.objection(recipe) is None), subject.recipes[0])
    accepted = next((mutation for mutation in wrong if not _refuses(operator, recipe, mutation)), None)
    return f"no MutationRefusedError for {accepted}" if accepted is not None else ""


def _round_trip(subject: _Subject) -> str:
    for recipe, mutation in subject.cases():
        parsed = parse_mutation(mutation.id)
        if parse_mutation(parsed.id) != parsed or subject.operator.apply(recipe, parsed) != subject.operator.apply(
            recipe, mutation
        ):
            return f"{mutation.id} is read back as {parsed.id}"
        entry = {"operator": mutation.operator, "magnitude": mutation.magnitude, "variant": mutation.variant}
        if objection(recipe, Mutant((mutation,))) is None and parse_operators(
            [entry | dict(mutation.options)], recipe
        ) != (parsed,):
            return f"{mutation.id} is read differently from a mapping"
    return ""


def _neutral_recipe(subject: _Subject) -> str:
    for recipe, mutation in subject.cases():
        neutral = subject.operator.apply(recipe, dataclasses.replace(mutation, magnitude=0.0))
        if in_effect(neutral) != in_effect(recipe):
            written = ", ".join(written_fields(in_effect(recipe), in_effect(neutral)))
            return f"{mutation.operator} with probability 0 still sets {written} ({recipe.algorithm})"
    return ""


def _trained(subject: _Subject, digest: _Digest) -> list[Check]:
    """Liveness and neutrality of every recipe that the operator applies to."""
    checks = []
    for recipe in subject.recipes:
        if not _checked("", partial(_applies_to, recipe), subject).passed:
            continue
        checks.append(_checked(f"it is live in {recipe.algorithm}", partial(_live, recipe, digest), subject))
        if isinstance(subject.operator.magnitude, ProbabilityMagnitude):
            name = f"probability 0 trains the healthy {recipe.algorithm} agent"
            checks.append(_checked(name, partial(_neutral_training, recipe, digest), subject))
    return checks


def _digest(engine: Engine, seed: int, recipe: TrainingRecipe) -> str:
    return engine.train(recipe, [seed], AgentSelection())[0].weights_digest


def _applies_to(recipe: TrainingRecipe, subject: _Subject) -> str:
    return _applies(dataclasses.replace(subject, recipes=(recipe,)))


def _live(recipe: TrainingRecipe, digest: _Digest, subject: _Subject) -> str:
    """Same seed, other weights, at the last magnitude that is not refused."""
    accepted = [mutation for mutation in subject.plain() if objection(recipe, Mutant((mutation,))) is None]
    same = digest(subject.operator.apply(recipe, accepted[-1])) == digest(recipe)
    return f"{accepted[-1].id} trains the healthy agent, bit for bit" if same else ""


def _neutral_training(recipe: TrainingRecipe, digest: _Digest, subject: _Subject) -> str:
    neutral = subject.operator.apply(recipe, subject.mutation(0.0))
    return "" if digest(neutral) == digest(recipe) else "the trained weights differ from the healthy ones"


def _magnitudes(operator: MutationOperator) -> tuple[float | str | None, ...]:
    return operator.magnitude.choices if isinstance(operator.magnitude, ChoiceMagnitude) else (0.25, 1.0)


def _option_pairs(operator: MutationOperator) -> list[list[tuple[str, str]]]:
    return [[(name, value) for value in values] for name, values in operator.options]


def _refuses(operator: MutationOperator, recipe: TrainingRecipe, mutation: Mutation) -> bool:
    try:
        operator.apply(recipe, mutation)
    except MutationRefusedError:
        return True
    return False


def _name_of(operator: MutationOperator) -> str:
    listed = next((acronym for acronym, known in OPERATORS.items() if type(known) is type(operator)), None)
    return listed or f"{type(operator).__module__}:{type(operator).__qualname__}"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())

"""The recipe: plain, immutable, addressable."""

from __future__ import annotations

import pickle

import pytest

from agents.deeprl.recipe import ExperienceSite, LossSite, ReturnsSite, StateSite, TerminalSite, TrainingRecipe
from envsearch.errors import CorruptArtifactError, InputError


def test_round_trips_through_plain_values_and_pickle(small_recipe):
    recipe = small_recipe("ppo").replace(experience=ExperienceSite("repeat", 0.5), loss=LossSite(1.0))
    assert TrainingRecipe.from_plain(recipe.to_plain()) == recipe
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    assert TrainingRecipe.from_plain(recipe.to_plain()).address == recipe.address


def test_address_depends_on_every_site(small_recipe):
    healthy = small_recipe("ppo")
    variants = [
        healthy,
        healthy.replace(experience=ExperienceSite("repeat", 0.5)),
        healthy.replace(terminal=TerminalSite(1.0)),
        healthy.replace(state=StateSite(1.0)),
        healthy.replace(returns=ReturnsSite(undiscounted=1.0)),
        healthy.replace(loss=LossSite(1.0)),
        healthy.replace(total_steps=99),
    ]
    assert len({variant.address for variant in variants}) == len(variants)


def test_order_of_hyperparameters_does_not_matter(small_recipe):
    recipe = small_recipe("a2c")
    assert recipe.replace(hyperparameters=recipe.hyperparameters[::-1]).address == recipe.address


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_probabilities_are_checked(value):
    with pytest.raises(InputError, match="probability"):
        StateSite(value)


def test_not_a_recipe_is_named(small_recipe):
    damaged = small_recipe("ppo").to_plain() | {"total_steps": "many"}
    with pytest.raises(CorruptArtifactError, match="total_steps"):
        TrainingRecipe.from_plain(damaged)

"""Specs: what is accepted, what resolves to what, and the one line for every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from envsearch.errors import InputError, MutationRefusedError
from mutations.killing.error_control import ERROR_CONTROLS
from mutations.killing.margins import Margins
from mutations.killing.sequential_looks import Looks
from orchestration.campaign.spec.loading import experiment_names, load_spec
from orchestration.campaign.spec.resolving import resolve
from orchestration.campaign.spec.searching import gives_verdicts
from orchestration.campaign.spec.yaml_source import MAXIMUM_BYTES
from tests.orchestration.campaign.spec_text import BASE, complaint, resolved

pytestmark = pytest.mark.usefixtures("fake_engine")


def test_defaults() -> None:
    campaign = resolved(BASE)
    assert campaign.seeds == tuple(range(20))
    assert campaign.healthy.total_steps == 200_000
    assert campaign.kill_tests == ("margin_permutation",)
    assert campaign.boundary.tests == ("equivalence",)
    assert (campaign.evaluation.episodes, campaign.evaluation.seed) == (10, 420)
    assert campaign.selection.kind == "final"
    assert campaign.sanity.threshold == 475.0
    assert len(campaign.mutants) == 12
    assert [parameter.name for parameter in campaign.boundary.parameters] == ["cart_mass", "pole_mass"]


def test_error_control_is_part_of_the_run() -> None:
    campaign = resolved(BASE)
    assert campaign.error_control == "false_discovery"
    familywise = resolved(BASE + "error_control: familywise\n")
    assert familywise.error_control == "familywise"
    assert familywise.run_id != campaign.run_id
    assert "error_control" in complaint(BASE + "error_control: holm\n")


def test_every_control_of_the_table_is_a_choice_of_the_spec() -> None:
    for name in ERROR_CONTROLS:
        assert resolved(BASE + f"error_control: {name}\n").error_control == name


def test_overrides() -> None:
    campaign = resolved(
        BASE
        + """
seeds: [3, 5]
steps: 1000
hyperparameters: {gamma: 0.9, learning_rate: 1e-3}
operators: [RN_0.2, {operator: PAC, magnitudes: [ReLU, Sigmoid]}]
kill_tests: [average_ratio, reward_distribution]
evaluation: {episodes: 4, seed: 7}
agent: {select: best, every: 500, episodes: 3}
boundary: {limits: {cart_mass: [0.5, 4]}, precision: {pole_mass: 0.1}, batch: 8, scaling: published}
higher_order: {mutants: [PAC_ReLU-RN_0.2], maximum: 3}
sanity: {threshold: 12, on_failure: warn}
seed: 9
"""
    )
    assert campaign.seeds == (3, 5)
    assert dict(campaign.healthy.hyperparameters)["gamma"] == 0.9
    assert dict(campaign.healthy.hyperparameters)["learning_rate"] == 0.001
    assert [mutant.id for mutant in campaign.mutants] == ["RN_0.2", "PAC_ReLU", "PAC_Sigmoid"]
    assert campaign.boundary.tests == ("equivalence",)
    cart, pole = campaign.boundary.parameters
    assert (cart.low, cart.high, pole.precision) == (0.5, 4.0, 0.1)
    assert (campaign.boundary.batch, campaign.boundary.scaling) == (8, "published")
    assert [mutant.id for mutant in campaign.higher_order.mutants] == ["RN_0.2-PAC_ReLU"]
    assert (campaign.sanity.threshold, campaign.sanity.on_failure, campaign.seed) == (12.0, "warn", 9)
    assert (campaign.selection.kind, campaign.selection.every, campaign.selection.episodes) == ("best", 500, 3)


def test_seeds_as_needed() -> None:
    campaign = resolved(BASE + "seeds: auto\nengine: sb3\n")
    assert (campaign.looks, campaign.seeds) == (Looks((6, 10, 15, 20)), tuple(range(20)))
    assert (campaign.kill_tests, campaign.mutant_seeds) == (("margin_permutation",), tuple(range(20)))
    own = resolved(BASE + "seeds: {looks: [5, 8], healthy: 12}\n")
    assert (own.looks, own.seeds, own.mutant_seeds) == (Looks((5, 8)), tuple(range(12)), tuple(range(8)))
    written_out = BASE + "seeds: {looks: [6, 10, 15, 20]}\nkill_tests: [margin_permutation]\nengine: sb3\n"
    assert resolved(written_out).run_id == campaign.run_id
    without_looks = resolved(BASE + "seeds: 20\nkill_tests: [margin_permutation]\nengine: sb3\n")
    assert campaign.run_id != without_looks.run_id


def test_looks_fill_the_groups_of_the_fleet_engine() -> None:
    assert resolved(BASE + "seeds: auto\nengine: fleet\n").looks == Looks((8, 12, 16, 20))
    more_healthy = resolved(BASE + "seeds: {healthy: 28}\nengine: fleet\n")
    assert (more_healthy.looks, len(more_healthy.seeds)) == (Looks((8, 12, 16, 20)), 28)
    assert resolved(BASE.replace("ppo", "dqn") + "seeds: auto\nengine: fleet\n").looks == Looks((6, 10, 15, 20))


def test_run_id_ignores_name_comments_and_formatting() -> None:
    plain = resolved(BASE + "operators: [NDF]\nseeds: 3\n")
    other = resolved("# a comment\nname: other\nseeds: [0, 1, 2]\noperators:\n  - no_discount_factor\n" + BASE)
    assert plain.run_id == other.run_id
    assert len(plain.run_id) == 12
    assert plain.name == "campaign"
    assert other.name == "other"


@pytest.mark.parametrize(
    "change",
    [
        "seeds: 4",
        "steps: 7",
        "operators: [NR]",
        "kill_tests: [reward_distribution]",
        "repeats: 3",
        "evaluation: {episodes: 9}",
        "agent: {select: best}",
        "boundary: {enabled: false}",
        "boundary: {precision: {cart_mass: 1.0}}",
        "higher_order: {enabled: false}",
        "sanity: {threshold: off}",
        "seed: 1",
        "hyperparameters: {gamma: 0.5}",
    ],
)
def test_run_id_depends_on_everything_else(change: str) -> None:
    assert resolved(BASE + change).run_id != resolved(BASE).run_id


def test_settings_without_effect_are_no_other_campaign() -> None:
    assert resolved(BASE + "agent: {every: 17}").run_id == resolved(BASE).run_id
    assert resolved(BASE + "operators: [NDF_1.0]").run_id == resolved(BASE + "operators: [NDF]").run_id


def test_old_environment_name_is_noted() -> None:
    campaign = resolved("environment: LunarLander-v2\nalgorithm: a2c\n")
    assert campaign.healthy.environment.name == "LunarLander-v3"
    assert any("LunarLander-v2" in note for note in campaign.notes)


def test_any_gymnasium_id_with_declared_parameters() -> None:
    campaign = resolved(
        """
environment:
  id: Pendulum-v1
  parameters: [{name: g, initial: 10, low: 5, high: 15, precision: 0.5}]
algorithm: ppo
steps: 100
operators: [NDF]
"""
    )
    assert campaign.healthy.environment.values == (("g", 10.0),)
    assert campaign.sanity.threshold is None


def test_threshold_forms() -> None:
    assert resolved(BASE + "sanity: {threshold: off}").sanity.threshold is None
    assert resolved(BASE + "sanity: {threshold: preset}").sanity.threshold == 475.0
    assert resolved(BASE + "sanity: {threshold: -3}").sanity.threshold == -3.0


def test_preset_of_another_environment() -> None:
    campaign = resolved(
        "environment: Acrobot-v1\nalgorithm: ppo\nsteps: 10\npreset: cartpole_ppo\n"
        "boundary: {enabled: false}\noperators: [NDF]\n"
    )
    assert campaign.healthy.hyperparameter("n_epochs") == 4
    assert "preset 'cartpole_ppo' is for ppo" in complaint(BASE.replace("ppo", "dqn") + "preset: cartpole_ppo")


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(BASE, encoding="utf-8")
    assert load_spec(path).name == "mine"
    for content, problem in (
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"#" * (MAXIMUM_BYTES + 1), "is bigger than 256 KiB"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=problem):
            load_spec(path)
    with pytest.raises(InputError, match="no such file"):
        load_spec(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        load_spec(tmp_path)


def test_specs_that_come_with_the_package_resolve() -> None:
    names = experiment_names()
    pairs = {f"{place}_{algorithm}" for place in ("cartpole", "lunarlander") for algorithm in ("ppo", "a2c", "dqn")}
    published = {f"cartpole_{algorithm}_published" for algorithm in ("ppo", "a2c", "dqn")}
    paper = {f"paper/{name}" for name in (*pairs, *published, "lunarlander_ppo_reduced")}
    assert set(names) == {"demo", "magnitudes", *pairs, *paper}
    for name in names:
        spec = load_spec(name).model_copy(update={"engine": "fake"})
        campaign = resolve(spec, name)
        assert campaign.name == name.replace("paper/", "paper_")
        assert len(campaign.seeds) == (8 if name.endswith("_reduced") else 20)


def test_the_demo_is_what_it_promises() -> None:
    campaign = resolve(load_spec("demo").model_copy(update={"engine": "fake"}), "demo")
    assert len(campaign.seeds) >= 6
    assert len(campaign.mutants) >= 5
    assert any(mutant.mutations[0].operator in ("RN", "M", "Ra", "R") for mutant in campaign.mutants)
    assert campaign.boundary.tests
    assert campaign.higher_order.mutants
    assert len(campaign.seeds) >= campaign.margins.fewest_agents, "a mutant can survive"


def test_which_kill_tests_give_verdicts() -> None:
    assert not gives_verdicts("average_ratio")
    assert gives_verdicts("paired_permutation")


# Which engine trains a campaign, and which one evaluates it.


def test_auto_takes_the_fleet_where_it_can_train_every_recipe() -> None:
    campaign = resolved(BASE + "operators: [NDF, {operator: PAC, magnitudes: [ReLU]}]\n", engine="auto")
    assert (campaign.engine, campaign.evaluation.method) == ("fleet", "fleet")
    assert campaign.engine_choice.startswith("Engine: fleet")
    assert {campaign.agent(campaign.healthy, 0).engine} == {"fleet"}


def test_one_recipe_that_the_fleet_declines_sends_all_agents_to_sb3(monkeypatch: pytest.MonkeyPatch) -> None:
    from agents.deeprl.engines.fleet.engine import FleetEngine

    objection = FleetEngine.objection
    monkeypatch.setattr(
        FleetEngine, "objection", lambda self, recipe: "no mice" if recipe.loss.inverted else objection(self, recipe)
    )
    campaign = resolved(BASE + "operators: [NDF, ILF]\n", engine="auto")
    assert (campaign.engine, campaign.evaluation.method) == ("sb3", "fleet")
    assert "the fleet cannot train ILF (no mice)" in campaign.engine_choice
    assert resolved(BASE + "operators: [NDF]\n", engine="auto").engine == "fleet"
    with pytest.raises(MutationRefusedError, match="engine fleet cannot train ILF"):
        resolved(BASE + "operators: [NDF, ILF]\n", engine="fleet")


def test_an_algorithm_that_only_the_library_has() -> None:
    campaign = resolved(
        "environment: CartPole-v1\nalgorithm: stable_baselines3:PPO\nsteps: 64\noperators: [NDF]\n", "auto"
    )
    assert campaign.engine == "sb3"
    assert "the fleet cannot train the healthy agent" in campaign.engine_choice


def test_who_evaluates() -> None:
    assert resolved(BASE).evaluation.method == "sb3", "a user's own engine"
    assert resolved(BASE + "evaluation: {engine: fleet}").evaluation.method == "fleet"
    asked = resolved(BASE + "operators: [NDF]\nevaluation: {engine: sb3}", engine="fleet")
    assert asked.evaluation.method == "sb3"
    assert "evaluation.engine" in complaint(BASE + "evaluation: {engine: flet}")


def test_margins() -> None:
    campaign = resolved(BASE)
    assert campaign.margins == Margins(mean=0.05, collapsed=0.10, scale=None, scale_near_zero=475.0)
    own = resolved(BASE + "kill_tests: [margin_permutation]\nmargins: {mean: 0.2, collapsed: 0.3, scale: 200}\n")
    assert own.margins == Margins(mean=0.2, collapsed=0.3, scale=200.0)
    assert own.canonical()["margins"]["mean"] == 0.2


def test_margins_are_identity_only_where_a_test_takes_them() -> None:
    margin, pairs = BASE + "kill_tests: [margin_permutation]\n", BASE + "kill_tests: [paired_permutation]\n"
    searched = pairs + "boundary: {tests: [paired_permutation]}\n"
    assert resolved(margin).run_id == resolved(margin + "margins: {mean: 0.05}\n").run_id
    assert resolved(margin).run_id != resolved(margin + "margins: {mean: 0.06}\n").run_id
    assert "margins" in resolved(pairs).canonical()
    assert "margins" not in resolved(searched).canonical()

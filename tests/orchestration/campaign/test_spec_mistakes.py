"""Mistakes in a spec: one line each, which names the field and what would be right."""

from __future__ import annotations

import pytest

from envsearch.errors import InputError, MutationRefusedError
from tests.orchestration.campaign.spec_text import BASE, complaint, resolved

pytestmark = pytest.mark.usefixtures("fake_engine")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            BASE + "sedes: 3\n",
            "spec.yaml: sedes: unknown field 'sedes' (did you mean 'seeds'?); expected one of ",
        ),
        (
            BASE + "boundary: {limit: {}}\n",
            "spec.yaml: boundary.limit: unknown field 'limit' (did you mean 'limits'?); expected one of ",
        ),
        (
            "environment: {id: Pendulum-v1, parameters: [{nam: g}]}\nalgorithm: ppo\n",
            "spec.yaml: environment.parameters[0].nam: unknown field 'nam' (did you mean 'name'?); expected one of ",
        ),
        ("algorithm: ppo\n", "spec.yaml: environment: is missing"),
        ("environment: CartPole-v1\n", "spec.yaml: algorithm: is missing"),
        (BASE + "seeds: 0\n", "spec.yaml: seeds: 0 is not accepted; expected a number of seeds (at least 1), a list"),
        (BASE + "seeds: [1, -2]\n", "spec.yaml: seeds[1]: -2 is not accepted; expected a number of seeds"),
        (BASE + "seeds: often\n", "spec.yaml: seeds: 'often' is not accepted; expected a number of seeds (at least 1)"),
        (
            BASE + "seeds: {looks: [10, 6]}\n",
            "spec.yaml: seeds.looks: [10, 6] cannot be looks; expected rising numbers of agents from 3",
        ),
        (
            BASE + "seeds: {looks: []}\n",
            "spec.yaml: seeds.looks: [] is not accepted; expected rising numbers of agents",
        ),
        (BASE + "seeds: {look: [6]}\n", "spec.yaml: seeds.look: unknown field 'look' (did you mean 'looks'?)"),
        (
            BASE + "seeds: {healthy: 19}\n",
            "spec.yaml: seeds.healthy: 19 healthy agents are fewer than the 20 of the last look; expected a number",
        ),
        (
            BASE + "seeds: auto\nkill_tests: [average_ratio]\n",
            "spec.yaml: kill_tests[0]: 'average_ratio' does not spend its level over looks, which `seeds` asks for",
        ),
        (BASE + "seeds: []\n", "spec.yaml: seeds: the list is empty; expected at least one seed"),
        (BASE + "seeds: [1, 1]\n", "spec.yaml: seeds: seed 1 appears twice; expected distinct seeds"),
        (BASE + "steps: many\n", "spec.yaml: steps: 'many' is not accepted; expected a valid integer"),
        (BASE + "steps: 0\n", "spec.yaml: steps: 0 is not accepted; expected greater than or equal to 1"),
        (
            BASE + "sanity: {threshold: maybe}\n",
            "spec.yaml: sanity.threshold: 'maybe' is not accepted; expected a number, preset or off",
        ),
        (
            BASE + "agent: {select: worst}\n",
            "spec.yaml: agent.select: 'worst' is not accepted; expected 'final' or 'best'",
        ),
        (
            BASE + "operators: [NDX]\n",
            "spec.yaml: operators[0]: unknown operator 'NDX' (did you mean 'NDF'?); expected one of ",
        ),
        (
            BASE + "operators: [NDF, {operator: RN, magnitude: 1.5}]\n",
            "spec.yaml: operators[1].magnitude: 1.5 is out of range; expected a probability in (0, 1]",
        ),
        (BASE + "operators: [RN_1.5]\n", "spec.yaml: operators[0]: 1.5 is out of range; expected a probability in "),
        (BASE + "operators: []\n", "spec.yaml: operators: the list is empty; expected at least one operator, or no "),
        (BASE + "operators: NDF\n", "spec.yaml: operators: 'NDF' is not accepted; expected a list of operators"),
        (BASE + "operators: [NDF, NDF]\n", "spec.yaml: operators[1]: NDF appears twice, also in operators[0]"),
        (
            "environment: CartPole-v1\nalgorithm: dqn\noperators: [NR]\n",
            "spec.yaml: operators[0]: NR does not apply: ",
        ),
        (
            "environment: CartPole-v1\nalgorithm: dqn\noperators: [PAC_ReLU]\n",
            "spec.yaml: operators[0]: PAC_ReLU would change nothing: policy.activation is already 'ReLU'",
        ),
        (BASE + "operators: [POC_Adam]\n", "spec.yaml: operators[0]: POC_Adam would change nothing: "),
        (
            BASE + "kill_tests: [paired]\n",
            "spec.yaml: kill_tests[0]: unknown kill test 'paired' (did you mean ",
        ),
        (BASE + "kill_tests: [average_ratio, average_ratio]\n", "spec.yaml: kill_tests[1]: 'average_ratio' appears "),
        (BASE + "kill_tests: [no.such:thing]\n", "spec.yaml: kill_tests[0]: 'no.such:thing': cannot import 'no.such'"),
        (
            BASE + "boundary: {tests: [average_ratio]}\nkill_tests: [average_ratio]\n",
            "spec.yaml: boundary.tests[0]: 'average_ratio' gives no verdict; expected a kill test that says",
        ),
        (
            BASE + "boundary: {tests: [reward_distribution]}\n",
            "spec.yaml: boundary.tests[0]: unknown search or kill test of this campaign 'reward_distribution'",
        ),
        (
            BASE + "boundary: {tests: [margin_permutation], scan: 8}\n",
            "spec.yaml: boundary.scan: a kill test searches without a scan; expected equivalence in boundary.tests",
        ),
        (
            BASE + "boundary: {tests: [equivalence, equivalence]}\n",
            "spec.yaml: boundary.tests[1]: 'equivalence' appears twice; expected distinct searches",
        ),
        (
            BASE + "boundary: {limits: {cart_mas: [1, 2]}}\n",
            "spec.yaml: boundary.limits.cart_mas: unknown parameter of CartPole-v1 'cart_mas' (did you mean "
            "'cart_mass'?); ",
        ),
        (
            BASE + "boundary: {limits: {cart_mass: [20, 1]}}\n",
            "spec.yaml: boundary.limits.cart_mass: limits [20, 1] are empty; expected low < high",
        ),
        (
            BASE + "boundary: {limits: {cart_mass: [2, 20]}}\n",
            "spec.yaml: boundary.limits.cart_mass: initial value 1 is outside the limits; expected a value in [2, 20]",
        ),
        (
            BASE + "boundary: {limits: {cart_mass: [-1, 20]}}\n",
            "spec.yaml: boundary.limits.cart_mass: -1 is physically impossible; expected ",
        ),
        (
            BASE + "boundary: {precision: {cart_mass: 0}}\n",
            "spec.yaml: boundary.precision.cart_mass: 0 is not positive; expected a positive number",
        ),
        (
            BASE + "boundary: {precision: {cart_mass: 1e-15}}\n",
            "spec.yaml: boundary.precision.cart_mass: 1e-15 is too fine for these limits; expected ",
        ),
        (
            BASE + "hyperparameters: {gama: 0.9}\n",
            "spec.yaml: hyperparameters.gama: unknown hyper-parameter 'gama' (did you mean 'gamma'?); expected one of ",
        ),
        (BASE.replace("ppo", "pp"), "spec.yaml: algorithm: unknown algorithm 'pp' (did you mean "),
        (
            BASE.replace("CartPole-v1", "CartPol-v1"),
            "spec.yaml: environment: unknown environment 'CartPol-v1' (did you mean 'CartPole-v1'?); ",
        ),
        (
            "environment: Acrobot-v1\nalgorithm: ppo\n",
            "spec.yaml: steps: there is no preset for Acrobot-v1 with ppo",
        ),
        (
            "environment: Acrobot-v1\nalgorithm: ppo\nsteps: 10\n",
            "spec.yaml: environment.parameters: Acrobot-v1 declares no parameter to search over; expected at least one",
        ),
        (
            "environment: {name: Pendulum-v1, parameters: [{name: g, initial: 1, low: 5, high: 15, precision: 1}]}\n"
            "algorithm: ppo\nsteps: 10\n",
            "spec.yaml: environment.parameters[0].g.initial: initial value 1 is outside the limits; expected a value ",
        ),
        (
            BASE + "operators: [NDF, NR]\nhigher_order: {mutants: [NDF]}\n",
            "spec.yaml: higher_order.mutants[0]: 'NDF' is of order 1; expected two or more operators, as in NDF-MTS",
        ),
        (
            BASE + "operators: [NDF, NR]\nhigher_order: {mutants: [NDF-MTS]}\n",
            "spec.yaml: higher_order.mutants[0]: MTS is not among the operators; expected constituents from NDF, NR",
        ),
        (
            BASE + "operators: [PAC_ReLU, PAC_Sigmoid]\nhigher_order: {mutants: [PAC_ReLU-PAC_Sigmoid]}\n",
            "spec.yaml: higher_order.mutants[0]: PAC_ReLU and PAC_Sigmoid both set policy.activation, so only one",
        ),
        (
            BASE + "operators: [NDF, NR]\nhigher_order: {enabled: false, mutants: [NDF-NR]}\n",
            "spec.yaml: higher_order.mutants: mutants are listed but higher order is off; expected enabled: true",
        ),
        (BASE + "engine: fleat\n", "spec.yaml: engine: unknown engine 'fleat' (did you mean 'fleet'?); expected "),
        (BASE + "steps: 2000000000\n", "spec.yaml: hyperparameters: engine fake cannot train the healthy agent (it "),
        (BASE + "preset: cartpole_pp\n", "spec.yaml: preset: unknown preset 'cartpole_pp' (did you mean "),
        (BASE + "sanity: {threshold: .nan}\n", "spec.yaml: sanity.threshold: nan is not accepted; expected a number"),
    ],
)
def test_one_line_for_every_mistake(text: str, line: str) -> None:
    assert complaint(text).startswith(line)


def test_refused_mutants_have_their_own_error() -> None:
    with pytest.raises(MutationRefusedError):
        resolved(BASE + "operators: [POC_Adam]\n")


def test_the_real_engine_declines_values_that_the_library_refuses() -> None:
    with pytest.raises(InputError, match="hyperparameters: engine sb3 cannot train the healthy agent"):
        resolved(BASE + "hyperparameters: {batch_size: 1, n_steps: 1}\n", engine="sb3")


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("{mean: 0}", "spec.yaml: margins.mean: 0 is not accepted; expected a share above 0 and below 1, as 0.05"),
        ("{mean: 5}", "spec.yaml: margins.mean: 5 is not accepted; expected a share above 0 and below 1, as 0.05"),
        ("{collapsed: .nan}", "spec.yaml: margins.collapsed: nan is not accepted; expected a share above 0"),
        ("{scale: -3}", "spec.yaml: margins.scale: -3 is not accepted; expected a reward above 0, or healthy"),
        ("{scale: threshold}", "spec.yaml: margins.scale: 'threshold' is not accepted; expected a reward above 0"),
        ("{means: 0.1}", "spec.yaml: margins.means: unknown field 'means' (did you mean 'mean'?)"),
    ],
)
def test_wrong_margins_are_one_line(section: str, line: str) -> None:
    assert complaint(BASE + f"kill_tests: [margin_permutation]\nmargins: {section}\n").startswith(line)


def test_margins_without_a_test_that_takes_them_are_refused() -> None:
    search = "boundary: {tests: [paired_permutation]}\n"
    line = complaint(BASE + search + "kill_tests: [paired_permutation]\nmargins: {mean: 0.1}\n")
    assert line.startswith("spec.yaml: margins: no kill test of this campaign takes margins (paired_permutation)")
    assert resolved(BASE + "kill_tests: [paired_permutation]\nmargins: {mean: 0.1}\n").margins.mean == 0.1

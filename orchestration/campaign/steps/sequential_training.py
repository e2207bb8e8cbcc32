"""Seeds as needed: mutants are trained look by look, and a mutant that is decided is not trained further.

The initial environment alone decides when a mutant stops: every kill test must have an outcome there, corrected over
the mutants that are trained together. In other environments a mutant is judged with the agents that it has; its
p-values there are valid as well, because they are divided by the share of its look (see `sequential_looks`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mutations.killing.kill_test import Outcome
from mutations.killing.sequential_looks import Looks
from orchestration.campaign.context import RunContext
from orchestration.campaign.population import Population
from orchestration.campaign.result import MutantVerdict
from orchestration.campaign.steps.correction import corrected
from orchestration.campaign.steps.evaluation import evaluate_populations
from orchestration.campaign.steps.kill_matrix import judge_everywhere
from orchestration.campaign.steps.sanity import counted_mutants, with_same_agents
from orchestration.campaign.steps.training import train_populations


def train_in_looks(
    context: RunContext, healthy: Population, mutants: Sequence[Population], looks: Looks, name: str
) -> list[Population]:
    """Train and evaluate mutants until each is decided or has the agents of the last look.

    Args:
        healthy: trained and evaluated, with all its agents.
        mutants: with all the agents that they may have.
        name: of these mutants, for the phases.

    Returns: the mutants with the agents that they have now, in the order of `mutants`.
    """
    stopped, undecided = {mutant.id: mutant for mutant in mutants}, list(mutants)
    point = healthy.campaign.initial_point
    for agents in looks.agents:
        grown = [mutant.first(agents) for mutant in undecided]
        stopped |= {mutant.id: mutant for mutant in grown}
        train_populations(context, grown, f"train {name}, {agents} agents")
        evaluate_populations(context, grown, [point], f"evaluate {name}, {agents} agents")
        if agents == looks.most:
            break
        open_ids = undecided_mutants(context, healthy, list(stopped.values()))
        undecided = [mutant for mutant in undecided if mutant.id in open_ids]
    return list(stopped.values())


def undecided_mutants(context: RunContext, healthy: Population, mutants: Sequence[Population]) -> set[str]:
    """Mutants that a kill test finds inconclusive in the initial environment, after correction over all of `mutants`.

    Those whose agents equal the healthy ones bit for bit are not judged and need no further agents. Those whose agents
    equal another mutant's need as many as that one: further agents may differ.
    """
    campaign = healthy.campaign
    live, same_agents, _ = counted_mutants(healthy, mutants)
    initial = {test: [campaign.initial_point] for test in campaign.kill_tests}
    entries = judge_everywhere(context, healthy, live, initial, "judge mutants")
    after = with_same_agents(corrected(entries, campaign.error_control), same_agents)
    return {entry.mutant for entry in after if entry.verdict.outcome is Outcome.INCONCLUSIVE}


def saving(looks: Looks, mutants: Sequence[Population]) -> str:
    """What the looks have saved, as a sentence for the report."""
    stops = Counter(len(mutant.agents) for mutant in mutants)
    places = ", ".join(f"{stops[agents]} at {agents}" for agents in looks.agents if stops[agents])
    trained, most = sum(len(mutant.agents) for mutant in mutants), looks.most * len(mutants)
    return (
        f"Seeds as needed: of {len(mutants)} mutants, training stopped for {places} agents. {trained} of {most} "
        f"trainings of mutants were needed ({trained / most:.0%}). The initial environment decided when training "
        "stopped; elsewhere a mutant is judged with the agents that it has."
    )


def reopened(looks: Looks, mutants: Sequence[Population], verdicts: Sequence[MutantVerdict]) -> list[str]:
    """Notes on mutants that were decided when their training stopped and are not after the correction of the report.

    Args:
        mutants: with the agents that they have.
        verdicts: in the initial environment, corrected over the whole report.
    """
    stopped = {mutant.id: len(mutant.agents) for mutant in mutants if len(mutant.agents) < looks.most}
    undecided = {entry.mutant for entry in verdicts if entry.verdict.outcome is Outcome.INCONCLUSIVE}
    return [
        f"{mutant} was decided at {agents} agents, corrected over the mutants. Corrected over the whole report it is "
        f"inconclusive; more agents need other looks (seeds: {{looks: [...]}}) or seeds: {looks.most}."
        for mutant, agents in stopped.items()
        if mutant in undecided
    ]

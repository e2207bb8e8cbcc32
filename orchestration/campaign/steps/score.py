"""The mutation score of every test's environments, and how sure it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mutations.kill_matrix import KillMatrix
from mutations.killing.error_control import PValues
from mutations.killing.kill_test import Outcome
from mutations.killing.registry import kill_test
from mutations.killing.resampled_kills import ResampledKillTest, is_resampled
from mutations.score import MutationScore, mutation_score
from mutations.score_bootstrap import Resampling, ScoredCell, resampled_matrices, score_uncertainty
from orchestration.campaign.findings import Findings
from orchestration.campaign.population import Population
from orchestration.campaign.result import MutantVerdict, ScoreResult
from orchestration.campaign.steps.judging import populations_of, statistics_seed
from orchestration.campaign.steps.kill_matrix import matrix_of


def scores(findings: Findings) -> tuple[ScoreResult, ...]:
    """The score of every test with outcomes, over the live first-order mutants, from the corrected verdicts."""
    results = []
    for name in findings.tests:
        matrix = matrix_of(findings.first_order, name)
        if not matrix.mutants:
            continue
        score = mutation_score(name, matrix)
        test = kill_test(name, margins=findings.campaign.margins)
        if is_resampled(test):
            score = _with_uncertainty(findings, test, matrix, score)
        results.append(ScoreResult(**{field: getattr(score, field) for field in ScoreResult.__dataclass_fields__}))
    return tuple(results)


def _with_uncertainty(
    findings: Findings, test: ResampledKillTest, matrix: KillMatrix, score: MutationScore
) -> MutationScore:
    entries = [entry for entry in findings.first_order if entry.verdict.test == score.test]
    mutants = {population.id: population for population in findings.live}
    healthy = findings.populations.healthy
    cells = [_cell(test, matrix, entry, (healthy, mutants[entry.mutant])) for entry in entries]
    resampling = Resampling(
        shape=(len(matrix.mutants), len(matrix.environments)),
        others=_other_p_values(findings, score.test),
        control=findings.campaign.error_control,
        seed=statistics_seed(findings.campaign.seed, "score", score.test),
    )
    kills = resampled_matrices(test, cells, resampling)
    chosen = [matrix.environments.index(point) for point in score.minimal_environments]
    return replace(score, uncertainty=score_uncertainty(kills, score.mutation_score, chosen, test.level))


def _cell(
    test: ResampledKillTest, matrix: KillMatrix, entry: MutantVerdict, populations: tuple[Population, Population]
) -> ScoredCell:
    """A verdict without a p-value (killed by crash, too few agents) does not depend on which agents are drawn."""
    row, column = matrix.index(entry.mutant), matrix.environments.index(entry.environment)
    if entry.verdict.p_value is None:
        return ScoredCell(row, column, None, entry.verdict.outcome is Outcome.KILLED)
    healthy, mutant = (population.rewards_at(entry.environment) for population in populations)
    sides = populations_of(test, healthy, mutant, populations[0].campaign.seeds)
    weight = 1.0 - (entry.verdict.p_adjusted or 0.0)
    return ScoredCell(row, column, sides, weight=weight, level_share=entry.verdict.level_share or 1.0)


def _other_p_values(findings: Findings, test: str) -> PValues:
    """What the other comparisons of the family claim, each once: other tests, higher-order mutants."""
    everything = [*findings.verdicts, *findings.first_order, *findings.above_first_order]
    own = {(entry.mutant, entry.environment) for entry in findings.first_order if entry.verdict.test == test}
    others = [
        entry.verdict
        for entry in dict.fromkeys(everything)
        if entry.verdict.p_adjusted is not None
        and (entry.verdict.test != test or (entry.mutant, entry.environment) not in own)
    ]
    claims = (1.0 if verdict.p_adjusted == 1.0 else verdict.p_value for verdict in others)
    return np.array([1.0 if claim is None else claim for claim in claims], dtype=np.float64)

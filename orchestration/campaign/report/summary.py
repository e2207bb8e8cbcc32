"""The end of a campaign in a terminal: the verdict in one paragraph, then the four tables that matter."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mutations.killing.kill_test import Direction, Outcome, killed_but_better
from orchestration.campaign import result_facts as facts
from orchestration.campaign.report import formatting
from orchestration.campaign.report.magnitude_view import magnitude_lines
from orchestration.campaign.result import CampaignResult, MutantVerdict, PopulationResult, ScoreResult

NAMES_WIDTH = 70
MAX_REASONS = 2
NAME_WIDTH = 20
OUTCOME_WIDTH = 12  # "inconclusive"
NUMBER_WIDTH = 7

_STYLES = {Outcome.KILLED: "bold red", Outcome.SURVIVED: "blue", Outcome.INCONCLUSIVE: "yellow"}


def headline(result: CampaignResult) -> str:
    """The campaign's verdict in one plain paragraph, used by the page and the terminal."""
    if result.status != "complete":
        reason = result.stop_reason.strip().rstrip(".")
        return f"This campaign stopped before its verdicts: {reason or 'no reason was recorded'}."
    test = facts.primary_test(result)
    if test is None:
        return "This campaign has no verdicts: no kill test with outcomes was run."
    sentences = [*_initial_sentences(result, test), *_score_sentences(result, test), *_doubt_sentences(result, test)]
    return " ".join(sentences)


def correction_text(result: CampaignResult) -> str:
    """How the verdicts were corrected, in one sentence; empty where no comparison was."""
    control = result.error_control
    if control is None or not control.comparisons:
        return ""
    return (
        f"All {control.comparisons} comparisons by corrected tests are one family, adjusted together by "
        f"{control.method} ({control.control.replace('_', ' ')}); {control.kills} are killed."
    )


def _initial_sentences(result: CampaignResult, test: str) -> list[str]:
    dead = facts.dead_mutants(result)
    verdicts = [entry for entry in facts.verdicts_of(result, test) if entry.mutant not in dead]
    killed = facts.with_outcome(verdicts, Outcome.KILLED)
    survived = facts.with_outcome(verdicts, Outcome.SURVIVED)
    unsure = facts.with_outcome(verdicts, Outcome.INCONCLUSIVE)
    noun, verb = ("mutant", "is") if len(verdicts) == 1 else ("mutants", "are")
    sentences = [f"In the initial environment {len(killed)} of {len(verdicts)} live {noun} {verb} killed by {test}."]
    if unsure:
        sentences.append(f"Inconclusive: {_names(unsure)}{_why(unsure)}.")
    if survived:
        sentences.append(f"Survived: {_names(survived)}.")
    better = [entry for entry in killed if killed_but_better(entry.verdict)]
    if better:
        sentences.append(f"Killed because better than the healthy agents: {_names(better)}.")
    if apart := facts.better_apart(verdicts):
        sentences.append(f"Better than the healthy agents, not a kill: {_names(apart)}.")
    if shaky := [entry for entry in killed if entry.verdict.direction is Direction.LESS_RELIABLE]:
        sentences.append(f"Killed because less reliable: {_names(shaky)}.")
    return sentences


def _why(unsure: Sequence[MutantVerdict]) -> str:
    """The reasons in brief: what they have in common, without each mutant's own interval and advice.

    For a test of margins it is the number of agents that would settle them, by a kill or by equivalence.
    """
    if formatting.has_margin([entry.verdict for entry in unsure]):
        return _settled_by(unsure)
    briefs = [re.sub(r" \[[^\]]*\]", "", entry.verdict.reason.split(";")[0]) for entry in unsure]
    reasons = [brief for brief in facts.unique(briefs) if brief]
    return f" ({' / '.join(reasons)})" if 0 < len(reasons) <= MAX_REASONS else ""


def _settled_by(unsure: Sequence[MutantVerdict]) -> str:
    counts = [[count for count in formatting.needed_agents(entry.verdict) if count] for entry in unsure]
    fewest = [min(each) for each in counts if each]
    if not fewest:
        return " (1,000 agents per population would not settle them)"
    span = f"{min(fewest)}" if min(fewest) == max(fewest) else f"{min(fewest)} to {max(fewest)}"
    rest = "" if len(fewest) == len(unsure) else f"; {len(unsure) - len(fewest)} cannot be settled by 1,000"
    return f" (about {span} agents per population would settle {'it' if len(unsure) == 1 else 'them'}{rest})"


def _score_sentences(result: CampaignResult, test: str) -> list[str]:
    score = facts.score_of(result, test)
    environments = facts.matrix_environments(result, test)
    if score is None or not environments:
        return []
    noun = "environment" if len(environments) == 1 else "environments"
    text = (
        f"The {len(environments)} test {noun} at the edge of normal behaviour give a mutation score of "
        f"{_score_text(score)} ({len(score.killed)} killed"
    )
    text += f"; never killed: {_list(score.never_killed)})." if score.never_killed else ")."
    labels = facts.labels_by_point(result)
    fewest = [labels[point] for point in score.minimal_environments]
    if 0 < len(fewest) < len(environments):
        text += f" {', '.join(fewest)} alone {'gives' if len(fewest) == 1 else 'give'} the same kills."
    return [text]


def _doubt_sentences(result: CampaignResult, test: str) -> list[str]:
    sentences = []
    if dead := facts.dead_mutants(result):
        sentences.append(f"Not live, so not counted: {_list(dead)} (same weights as the healthy agents).")
    if died := [population for population in result.populations if population.dead]:
        agents = sum(len(population.dead) for population in died)
        sentences.append(f"{agents} {'agent' if agents == 1 else 'agents'} died ({_list([p.mutant for p in died])}).")
    if merged := facts.merged_mutants(result):
        pairs = [f"{mutant} (as {counted})" for mutant, counted in merged.items()]
        sentences.append(f"Counted once, with the same agents bit for bit: {_list(pairs)}.")
    failed = [population for population in result.populations if population.failed]
    if failed:
        agents = sum(len(population.failed) for population in failed)
        noun = "agent" if agents == 1 else "agents"
        sentences.append(
            f"{agents} {noun} failed to train or run ({_list([population.mutant for population in failed])})."
        )
    report = facts.boundary_of(result, test)
    if report is not None and report.warnings:
        noun = "warning" if len(report.warnings) == 1 else "warnings"
        sentences.append(f"The boundary search gave {len(report.warnings)} {noun}.")
    return sentences


def _names(entries: Sequence[MutantVerdict]) -> str:
    return _list([entry.mutant for entry in entries])


def _list(names: Sequence[str]) -> str:
    """As many names as fit in a line's worth of characters, and the number of the others."""
    shown = [formatting.elide(name) for name in names]
    kept = 1
    while kept < len(shown) and sum(len(name) + 2 for name in shown[: kept + 1]) <= NAMES_WIDTH:
        kept += 1
    rest = len(names) - kept
    return ", ".join(shown[:kept]) + (f" and {rest} more" if rest > 0 else "")


def summary_text(result: CampaignResult) -> RenderableType:
    """A compact summary for a terminal of 100 columns; only the parts that the campaign has."""
    parts: list[RenderableType] = [
        Text(f"{result.name}: {result.environment}, {result.algorithm} (run {result.run_id[:12]})", style="bold"),
        Text(headline(result)),
        *(Text(text) for text in (correction_text(result), _selection_text(result)) if text),
        *(Text(f"Note: {note}", style="yellow") for note in result.notes),
    ]
    for table in (
        _verdict_table(result),
        _population_table(result) if not result.verdicts else None,
        _environment_table(result),
        _score_table(result),
        _higher_order_table(result),
    ):
        if table is not None:
            parts += [Text(""), table]
    if lines := magnitude_lines(result):
        parts += [Text(""), Text("Magnitudes", style="bold"), *(Text(line) for line in lines)]
    return Group(*parts)


def _selection_text(result: CampaignResult) -> str:
    """Where the best checkpoints were taken; empty where final models are judged."""
    steps = [(population.mutant, population.selected_steps) for population in result.populations]
    parts = [f"{formatting.elide(name)} {formatting.steps_text(taken)}" for name, taken in steps if taken]
    return f"Best checkpoints at training step: {'; '.join(parts)}." if parts else ""


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=None)
    table.pad_edge = False
    table.padding = (0, 1, 0, 0)
    return table


def _outcome_text(entry: MutantVerdict | None) -> Text:
    if entry is None:
        return Text("–", style="dim")
    verdict = entry.verdict
    if verdict.outcome is None:
        return Text(formatting.number(verdict.statistic))
    if facts.is_better_apart(verdict):
        return Text("better ↑", style="cyan")
    better = " ↑" if killed_but_better(verdict) else ""
    return Text(f"{verdict.outcome}{better}", style=_STYLES[verdict.outcome])


def _verdict_table(result: CampaignResult) -> Table | None:
    """Mutants x tests, with the mean reward and the numbers of the heading test."""
    if not result.verdicts:
        return None
    primary = facts.primary_test(result)
    tests = [name for name in facts.kill_test_names(result) if facts.verdicts_of(result, name)]
    by_key = {(entry.verdict.test, entry.mutant): entry for entry in result.verdicts}
    table = _table("Verdicts in the initial environment (↑ better than healthy)")
    marginal = formatting.has_margin([entry.verdict for entry in facts.verdicts_of(result, primary or "")])
    table.add_column("mutant", no_wrap=True)
    table.add_column("reward", justify="right", no_wrap=True)
    for name in tests:
        decides = any(entry.verdict.outcome is not None for entry in facts.verdicts_of(result, name))
        table.add_column(name.replace("_", " "), width=OUTCOME_WIDTH if decides else NUMBER_WIDTH, overflow="fold")
    adjusted = any(entry.verdict.p_adjusted is not None for entry in result.verdicts)
    numbers = ("difference [95 %]", "margin") if marginal else ("effect [95 %]",)
    for column in ("adj. p" if adjusted else "p", *numbers):
        table.add_column(column, justify="right", no_wrap=True)
    judged = {entry.mutant for entry in result.verdicts}
    for population in result.populations:
        if population.mutant in judged or population.order == 0:
            row = [_outcome_text(by_key.get((name, population.mutant))) for name in tests]
            entry = by_key.get((primary, population.mutant)) if primary else None
            mutant = Text(formatting.elide(population.mutant, NAME_WIDTH))
            table.add_row(mutant, _mean(population), *row, *_numbers(entry, marginal))
    return table


def _mean(population: PopulationResult) -> str:
    rewards = population.rewards
    return formatting.number(sum(rewards) / len(rewards)) if rewards else "–"


def _numbers(entry: MutantVerdict | None, marginal: bool) -> tuple[str, ...]:
    if entry is None:
        return ("",) * (2 + marginal)
    verdict = entry.verdict
    p_value = formatting.p_text(verdict.p_value if verdict.p_adjusted is None else verdict.p_adjusted)
    if not marginal:
        effect = formatting.interval_text(verdict.effect_size, verdict.effect_low, verdict.effect_high, 2)
        return p_value, effect
    ends = verdict.difference, verdict.difference_low, verdict.difference_high
    return p_value, formatting.interval_text(*ends), formatting.number(verdict.margin)


def _population_table(result: CampaignResult) -> Table | None:
    """The populations, for a campaign without verdicts."""
    if not result.populations:
        return None
    table = _table("Populations")
    table.add_column("population")
    for column in ("agents", "dead", "failed", "mean reward", "lowest", "highest"):
        table.add_column(column, justify="right")
    for population in result.populations:
        ends = [formatting.number(end(population.rewards)) if population.rewards else "–" for end in (min, max)]
        counts = [str(len(some)) for some in (population.seeds, population.dead, population.failed)]
        table.add_row(Text(population.mutant), *counts, _mean(population), *ends)
    return table


def _environment_table(result: CampaignResult) -> Table | None:
    """Test environments with the kills of every test in them (first order)."""
    environments = facts.label_environments(result)
    if not environments:
        return None
    first = {population.mutant for population in result.populations if population.order == 1}
    tests = [name for name in facts.kill_test_names(result) if facts.matrix_environments(result, name)]
    table = _table("Test environments (mutants killed in each)")
    for column in ("", "kind", *result.parameters):
        table.add_column(column, justify="right" if column in result.parameters else "left")
    for name in tests:
        table.add_column(name.replace("_", " "), justify="right", overflow="fold")
    for environment in environments:
        kills = []
        for name in tests:
            judged = [
                row[environment.point]
                for mutant, row in facts.kills_of(result, name).items()
                if mutant in first and environment.point in row
            ]
            killed = sum(map(facts.is_kill, judged))
            kills.append(f"{killed} of {len(judged)}" if judged else "–")
        values = dict(environment.point)
        shown = [formatting.number(values.get(name)) for name in result.parameters]
        table.add_row(environment.label, environment.kind, *shown, *kills)
    return table


def _score_table(result: CampaignResult) -> Table | None:
    if not result.scores:
        return None
    labels = facts.labels_by_point(result)
    table = _table("Mutation score of these environments")
    table.add_column("kill test", no_wrap=True)
    table.add_column("score", justify="right")
    for column in ("trivial", "never killed", "inconclusive", "same kills with"):
        table.add_column(column)
    for score in result.scores:
        lists = [_list(names) or "–" for names in (score.trivial, score.never_killed, score.inconclusive)]
        minimal = " ".join(labels[point] for point in score.minimal_environments) or "–"
        if minimal != "–" and score.uncertainty is not None:
            minimal += f" ({score.uncertainty.same_kills:.0%})"
        table.add_row(score.test, Text(_score_text(score)), *(Text(text) for text in lists), minimal)
    return table


def _score_text(score: ScoreResult) -> str:
    """The score with its interval."""
    return f"{formatting.number(score.mutation_score, 2)} {formatting.score_interval(score.uncertainty)}".rstrip()


def _higher_order_table(result: CampaignResult) -> Table | None:
    if not result.higher_order:
        return None
    table = _table("Higher-order mutants")
    for column in ("mutant", "kill test", "killed in"):
        table.add_column(column, no_wrap=True)
    for column in ("property", "property (strict)"):
        table.add_column(column)
    for row in result.higher_order:
        killing, judged = facts.killing_labels(result, row)
        name = formatting.elide(row.mutant, NAME_WIDTH)
        cells = (name, row.test, f"{len(killing)} of {judged}", row.property_published, row.property_strict)
        table.add_row(*(Text(cell) for cell in cells))
    return table

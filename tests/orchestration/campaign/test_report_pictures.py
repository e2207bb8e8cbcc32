"""Pictures of the report: their text alternatives, maps of any number of parameters, many mutants."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mutations.killing.kill_test import Direction, KillVerdict, Outcome
from orchestration.campaign.report import tables
from orchestration.campaign.report.report import page_html
from orchestration.campaign.result import (
    BoundaryReport,
    CampaignResult,
    MutantVerdict,
)


def test_pictures_have_text_alternatives_and_header_cells_a_scope(campaign_result: CampaignResult) -> None:
    html = page_html(campaign_result)
    pictures = re.findall(r"<svg[^>]*>", html)
    assert len(pictures) > 10
    assert all("aria-label=" in tag or 'aria-hidden="true"' in tag for tag in pictures)
    assert all("scope=" in tag for tag in re.findall(r"<th\b[^>]*>", html))


def _moved(result: CampaignResult, parameters: tuple[str, ...]) -> CampaignResult:
    """The same campaign over another number of parameters (values repeat the first two)."""

    def point(old: Any) -> Any:
        values = [value for _, value in old]
        return tuple((name, values[index % 2]) for index, name in enumerate(parameters))

    def report_of(old: BoundaryReport) -> BoundaryReport:
        return dataclasses.replace(
            old,
            environments=tuple(dataclasses.replace(report, point=point(report.point)) for report in old.environments),
            probes=tuple(dataclasses.replace(probe, point=point(probe.point)) for probe in old.probes),
        )

    matrix = tuple(dataclasses.replace(entry, environment=point(entry.environment)) for entry in result.kill_matrix)
    return dataclasses.replace(
        result,
        parameters=parameters,
        boundaries=tuple(report_of(report) for report in result.boundaries),
        kill_matrix=matrix,
        scores=(),
    )


@pytest.mark.parametrize("parameters", [("mass",), ("a", "b"), ("a", "b", "c"), ("kind", "mutant", "outcome", "label")])
def test_maps_of_any_number_of_parameters(
    parameters: tuple[str, ...], campaign_result: CampaignResult, tmp_path: Path
) -> None:
    result = _moved(campaign_result, parameters)
    html = page_html(result)
    assert html.count("Map of the boundary search by") == 2
    for name in ("boundary_probes", "boundary_environments", "kill_matrix", "kill_matrix_verdicts"):
        table = tables.TABLES[name](result)
        assert len(table.columns) == len(set(table.columns))
        assert all(set(row) == set(table.columns) for row in table.rows)


def test_sixty_mutants_each_have_a_row_in_every_picture(
    campaign_result: CampaignResult, make_verdict: Callable[[str, Outcome], KillVerdict]
) -> None:
    healthy, model, *_ = campaign_result.populations
    names = [f"M{number}" for number in range(60)]
    verdicts = tuple(
        MutantVerdict(name, campaign_result.boundaries[0].environments[0].point, make_verdict("mine", Outcome.KILLED))
        for name in names
    )
    populations = (healthy, *(dataclasses.replace(model, mutant=name) for name in names))
    html = page_html(dataclasses.replace(campaign_result, populations=populations, verdicts=verdicts))
    for picture in ("rewards", "curves"):
        section = html[html.index(f'<h2 id="{picture}"') :]
        section = section[: section.index("</section>")]
        assert all(f">{name}<" in section for name in names)


def test_the_effect_of_a_better_mutant_is_never_a_bare_killed(
    campaign_result: CampaignResult, make_verdict: Callable[[str, Outcome], KillVerdict]
) -> None:
    better = dataclasses.replace(make_verdict("mine", Outcome.KILLED), direction=Direction.BETTER)
    entry = dataclasses.replace(campaign_result.verdicts[0], verdict=better)
    html = page_html(dataclasses.replace(campaign_result, verdicts=(entry,), kill_matrix=()))
    assert "killed, better" in html

"""The report of a boundary search by equivalence: three answers in map, tables and page, and an interval per edge."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from orchestration.campaign.report import boundary_map, tables
from orchestration.campaign.report.report import write_report
from orchestration.campaign.report.summary import headline
from orchestration.campaign.result import EQUIVALENCE, BoundaryEdge, CampaignResult, Point
from orchestration.campaign.result_facts import kill_test_names
from orchestration.campaign.result_file import read_result, result_json


def at(cart: float, pole: float) -> Point:
    return (("cart_mass", cart), ("pole_mass", pole))


EDGES = (
    BoundaryEdge("cart_mass upper", "axis", at(6.25, 0.1), at(5.5, 0.1), None, at(4.9, 0.1), at(6.3, 0.1)),
    BoundaryEdge("cart_mass upper, pole_mass upper", "corner", None, at(3, 4), None, at(3.4, 4.6), None),
)


@pytest.fixture
def by_equivalence(campaign_result: CampaignResult) -> CampaignResult:
    report, *_ = campaign_result.boundaries
    probes = (dataclasses.replace(report.probes[0], difference=-460.5, low=-480.0, high=-440.0, newly_collapsed=1.0),)
    search = dataclasses.replace(
        report, test=EQUIVALENCE, edges=EDGES, margin=24.6, probes=(*probes, *report.probes[1:])
    )
    return dataclasses.replace(campaign_result, boundaries=(search,))


def test_a_search_by_equivalence_is_not_a_kill_test(by_equivalence: CampaignResult) -> None:
    assert EQUIVALENCE not in kill_test_names(by_equivalence)
    assert "The boundary search gave 1 warning." in headline(by_equivalence)


def test_an_inconclusive_point_is_unknown_and_not_accepted(by_equivalence: CampaignResult) -> None:
    table = tables.boundary_probes(by_equivalence)
    rows = {row["outcome"]: (row["answer"], row["accepted"]) for row in table.rows}
    assert rows == {
        "survived": ("accepted", True),
        "inconclusive": ("unknown", False),
        "killed": ("rejected", False),
    }
    assert [table.rows[0][name] for name in ("difference", "low", "high", "newly_collapsed")] == [-460.5, -480, -440, 1]


def test_every_edge_is_a_row_per_moved_parameter(by_equivalence: CampaignResult) -> None:
    rows = tables.boundary_edges(by_equivalence).rows
    assert [(row["direction"], row["parameter"]) for row in rows] == [
        ("cart_mass upper", "cart_mass"),
        ("cart_mass upper, pole_mass upper", "cart_mass"),
        ("cart_mass upper, pole_mass upper", "pole_mass"),
    ]
    names = ("estimate", "low", "high", "accepted_until", "rejected_from")
    assert [rows[0][name] for name in names] == [6.25, 5.5, None, 4.9, 6.3]
    assert [rows[2][name] for name in names] == [None, 4, None, 4.6, None]


def test_the_map_calls_a_point_unknown_only_where_it_was_not_taken(
    by_equivalence: CampaignResult, campaign_result: CampaignResult
) -> None:
    def legend(result: CampaignResult) -> set[str]:
        (panel,) = boundary_map.panels_of(result, result.boundaries[0])
        return {panel.name(outcome) for _, _, outcome in panel.probes}

    assert legend(by_equivalence) == {
        "accepted: same behaviour shown",
        "unknown",
        "rejected: difference shown",
    }
    assert "inconclusive (taken as the same)" in legend(campaign_result)


def test_the_page_shows_edges_with_their_intervals(by_equivalence: CampaignResult, tmp_path: Path) -> None:
    page = write_report(by_equivalence, tmp_path).read_text(encoding="utf-8")
    assert "accepted until" in page
    assert "beyond the limit" in page
    assert "6.25" in page
    assert (tmp_path / "boundary_edges.csv").exists()


def test_edges_survive_the_file(by_equivalence: CampaignResult, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(result_json(by_equivalence), encoding="utf-8")
    assert read_result(path) == by_equivalence

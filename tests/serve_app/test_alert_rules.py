"""The alert rules: every query is valid and asks only for what exists, and every alert has a page in the runbook."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from starlette.testclient import TestClient

from orchestration.service.owners.admission import AdmissionLimits
from serve_app.calls import CALLS
from serve_app.errors import STATUS
from serve_app.metrics import METHODS, SECONDS

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "proctor.rules.yaml"
RUNBOOK = ROOT / "docs" / "runbook"


def rules(kind: str) -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule[kind]: rule for group in groups for rule in group["rules"] if kind in rule}


ALERTS, RECORDS = rules("alert"), rules("record")


def selectors(expression: Any) -> Iterator[Any]:
    """Every metric that a parsed query selects."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
    for name in ("lhs", "rhs", "expr", "vector_selector"):
        if hasattr(expression, name):
            yield from selectors(getattr(expression, name))
    for argument in getattr(expression, "args", ()):
        yield from selectors(argument)


def metrics_of(client: TestClient) -> dict[str, set[str]]:
    """Sample name -> its labels, of a service that has answered, refused and been asked for nothing it knows."""
    client.get("/v1/agents/nobody")
    lines = client.get("/metrics").text.splitlines()
    matches = (re.match(r"([a-z_]+)(?:\{(.*)\})? ", line) for line in lines if not line.startswith("#"))
    samples: dict[str, set[str]] = {}
    for match in filter(None, matches):
        samples.setdefault(match[1], set()).update(re.findall(r'(\w+)="', match[2] or ""))
    return samples | {"up": {"job", "instance"}} | {name: set() for name in RECORDS}


@pytest.fixture
def known(client: TestClient) -> dict[str, set[str]]:
    return metrics_of(client)


def values_of(label: str) -> set[str]:
    """What a label can be; statuses and routes are matched as patterns."""
    slugs = {slug for _, slug in STATUS.values()}
    routes = {call.path for calls in CALLS.values() for call in calls}
    bounds = {str(bound) for bound in SECONDS}
    return {
        "type": slugs,
        "route": routes,
        "method": set(METHODS),
        "le": bounds,
        "status": {"200", "404", "500", "503"},
        "job": {"proctor"},
    }[label]


@pytest.mark.parametrize("name", [*RECORDS, *ALERTS])
def test_every_query_asks_for_what_exists(name: str, known: dict[str, set[str]]) -> None:
    chosen = list(selectors(promql_parser.parse({**RECORDS, **ALERTS}[name]["expr"])))
    assert chosen
    for selector in chosen:
        assert selector.name in known
        for matcher in selector.matchers.matchers:
            assert matcher.name in known[selector.name]
            pattern = matcher.value if "Re" in str(matcher.op) else re.escape(matcher.value)
            assert any(re.fullmatch(pattern, value) for value in values_of(matcher.name)), matcher.value


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in ("page", "ticket")
    assert alert["annotations"]["summary"].endswith(".")
    page = ROOT / alert["annotations"]["runbook_url"]
    assert page == RUNBOOK / f"{name}.md"
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {name}\n")
    assert all(f"\n## {part}\n" in text for part in ("Meaning", "What callers see", "What to do"))


def test_the_runbook_has_no_other_page() -> None:
    assert {page.stem for page in RUNBOOK.glob("*.md")} == {*ALERTS, "README"}
    index = (RUNBOOK / "README.md").read_text(encoding="utf-8")
    assert all(f"[{name}]({name}.md)" in index for name in ALERTS)


def test_the_queue_alert_is_below_the_limit() -> None:
    (threshold,) = re.findall(r"> (\d+)", ALERTS["ProctorQueueNearLimit"]["expr"])
    limit = AdmissionLimits().agent
    assert int(threshold) == 0.8 * limit
    assert f"at {limit} " in ALERTS["ProctorQueueNearLimit"]["annotations"]["summary"]

"""``proctor smoke URL``: the whole protocol against a deployed service, one check per step."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import httpx
import typer

from envsearch.errors import InputError
from orchestration.cli.output import OutputFormat, print_json

TESTS = tuple(f"tests/test_smoke.py::test_{number}" for number in range(20))
FAILING = TESTS[13]
BUDGET_SECONDS = 8.0
MUST_RUN = TESTS[19]


@dataclass(frozen=True, slots=True)
class StepReport:
    """The outcome of one step.

    Attributes:
        outcome: ok, failed, or "not tried" after a failed one.
        detail: the observation, or the error.
    """

    step: str
    outcome: str
    detail: str
    milliseconds: float


class SmokeFailureError(Exception):
    """A check did not hold."""


@dataclass(slots=True)
class Smoke:
    """One run of the protocol: two throw-away agents, the second a shadow of the first.

    Attributes:
        http: speaks to the service.
        agent, shadow: their names.
        episode: of the first recommendation.
        created: what must be deleted in the end.
    """

    http: httpx.Client
    agent: str
    shadow: str
    episode: str = ""
    created: list[str] = field(default_factory=list)

    def call(self, method: str, path: str, expected: int, **arguments: Any) -> Any:
        """One call that must answer with that status; its body, or None without one."""
        answer = self.http.request(method, path, **arguments)
        if answer.status_code != expected:
            raise SmokeFailureError(
                f"{method} {path} answered {answer.status_code}, not {expected}: {answer.text[:200]}"
            )
        if expected >= 400 and not answer.headers.get("content-type", "").startswith("application/problem+json"):
            raise SmokeFailureError(f"{method} {path} refused without a problem document")
        return answer.json() if answer.content and "json" in answer.headers.get("content-type", "") else None

    # -- the steps ------------------------------------------------------------------------------------------------

    def is_ready(self) -> str:
        """Liveness and readiness."""
        self.call("GET", "/healthz", 200)
        self.call("GET", "/readyz", 200)
        return "alive and ready"

    def is_described(self) -> str:
        """The OpenAPI document."""
        paths = self.call("GET", "/openapi.json", 200)["paths"]
        check("/v1/agents/{agent}/recommendations" in paths, "the document lacks the protocol's calls")
        return f"{len(paths)} paths"

    def creates_agents(self) -> str:
        """Create; the same call again."""
        for name, kind in ((self.agent, "bandit"), (self.shadow, "failure_rate")):
            body = {"name": name, "kind": kind, "description": "proctor smoke"}
            self.created.append(name)
            self.call("POST", "/v1/agents", 201, json=body)
            again = self.call("POST", "/v1/agents", 200, json=body)
            check(again["version"] == 0, "a new agent is not at version 0")
        return f"{self.agent}, {self.shadow}"

    def recommends(self) -> str:
        """An order of all tests within the budget; a retry gets the same episode."""
        first = self._recommend({"Idempotency-Key": f"{self.agent}-1"})
        again = self._recommend({"Idempotency-Key": f"{self.agent}-1"})
        check(again["episode_id"] == first["episode_id"], "a retry with the same key opened a second episode")
        self.episode = first["episode_id"]
        ranking = first["ranking"]
        check(
            sorted(entry["id"] for entry in ranking) == sorted(TESTS),
            "the order does not contain every test exactly once",
        )
        selected = [entry for entry in ranking if entry["selected"]]
        check(any(entry["id"] == MUST_RUN for entry in selected), "the must-run test is not selected")
        spent = sum(entry["expected_duration"] for entry in selected)
        check(spent <= BUDGET_SECONDS + 1e-6, f"{spent} s are selected for a budget of {BUDGET_SECONDS} s")
        return f"{len(selected)} of {len(ranking)} selected, {spent:g} s"

    def takes_results(self) -> str:
        """Results in two parts, one of them twice."""
        path = f"/v1/agents/{self.agent}/episodes/{self.episode}/results"
        results = [
            {"id": name, "verdict": "failed" if name == FAILING else "passed", "duration": 1.0} for name in TESTS
        ]
        first = self.call("POST", path, 200, json={"results": results[:15]})
        check(first["recorded"] == 15, "15 new results were not recorded as 15")
        again = self.call("POST", path, 200, json={"results": results[:15]})
        check((again["recorded"], again["repeated"]) == (0, 15), "repeated results were recorded again")
        upcoming = self.call("POST", f"/v1/agents/{self.agent}/next", 200, json={"episode_id": self.episode})
        check(upcoming["test_id"] is None or upcoming["test_id"] in TESTS[15:], "the next test already has a result")
        self.call("POST", path, 200, json={"results": results[15:]})
        return "20 in two parts, one part twice"

    def rewards(self) -> str:
        """The reward; a repeated request gets the first answer."""
        path = f"/v1/agents/{self.agent}/episodes/{self.episode}/reward"
        first = self.call("POST", path, 200)
        again = self.call("POST", path, 200)
        check(first["agent_version"] == 1, "the first reward did not make version 1")
        check(again["repeated"] and not first["repeated"], "a repeated reward does not say so")
        check({**again, "repeated": False} == first, "a repeated reward differs from the first answer")
        return f"total {first['total']:g}, version {first['agent_version']}"

    def learns(self) -> str:
        """A test that failed comes early in the next order."""
        ranking = self._recommend()["ranking"]
        position = next(entry["position"] for entry in ranking if entry["id"] == FAILING)
        check(position <= len(TESTS) // 2, f"the test that failed is at position {position} of {len(TESTS)}")
        return f"the test that failed is at position {position} of {len(TESTS)}"

    def observes(self) -> str:
        """The shadow agent learned from the same episode."""
        rows = self.call("GET", f"/v1/agents/{self.shadow}/metrics", 200)["rows"]
        check(len(rows) == 1, f"the shadow agent has {len(rows)} rewarded episodes, not 1")
        return f"napfd {rows[0]['metrics'].get('napfd', float('nan')):.3g}"

    def lists(self) -> str:
        """Episodes, metrics, insights, versions, listing."""
        episodes = self.call("GET", f"/v1/agents/{self.agent}/episodes", 200)["episodes"]
        check(len(episodes) == 2, f"{len(episodes)} episodes are listed, not 2")
        detail = self.call("GET", f"/v1/agents/{self.agent}/episodes/{self.episode}", 200)
        check(len(detail["results"]) == len(TESTS), "the episode does not contain its results")
        rows = self.call("GET", f"/v1/agents/{self.agent}/metrics", 200)["rows"]
        check(len(rows) == 1, f"{len(rows)} rewarded episodes are listed, not 1")
        self.call("GET", f"/v1/agents/{self.agent}/insights", 200)
        self.call("GET", "/v1/agents?limit=1", 200)
        return "episodes, metrics, insights, agents"

    def restores(self) -> str:
        """Back to version 0, as a new version."""
        versions = self.call("GET", f"/v1/agents/{self.agent}/versions", 200)["versions"]
        check([entry["version"] for entry in versions] == [1, 0], "the versions are not 1 and 0")
        answer = self.call("POST", f"/v1/agents/{self.agent}/versions/0/restore", 200)
        check(answer["agent_version"] == 2, "restoring did not make version 2")
        return "version 0 is version 2"

    def refuses(self) -> str:
        """Wrong calls are refused and change nothing."""
        self.call("GET", f"/v1/agents/{self.agent}-unknown", 404)
        results = {"results": [{"id": "no such test", "verdict": "passed"}]}
        self.call("POST", f"/v1/agents/{self.agent}/episodes/{self.episode}/results", 422, json=results)
        self.call("POST", "/v1/agents", 422, json={"name": self.agent, "kind": "bandit", "colour": "red"})
        self.call("DELETE", f"/v1/agents/{self.agent}", 422)
        check(self.call("GET", f"/v1/agents/{self.agent}", 200)["version"] == 2, "a refused call changed the agent")
        return "404, 422"

    def deletes(self) -> str:
        """Gone for good."""
        for name in list(self.created):
            self.call("DELETE", f"/v1/agents/{name}?confirm={name}", 204)
            self.created.remove(name)
            self.call("GET", f"/v1/agents/{name}", 404)
        return "both agents are gone"

    def clean_up(self) -> None:
        """Delete the agents that remain after a failed step."""
        for name in self.created:
            self.http.delete(f"/v1/agents/{name}?confirm={name}")

    def _recommend(self, headers: dict[str, str] | None = None) -> Any:
        body = {
            "job": "smoke",
            "test_cases": [{"id": name, "duration": 1.0} for name in TESTS],
            "time_budget_seconds": BUDGET_SECONDS,
            "must_run": [MUST_RUN],
            "observe": [self.shadow],
        }
        return self.call("POST", f"/v1/agents/{self.agent}/recommendations", 200, json=body, headers=headers)


def check(holds: bool, otherwise: str) -> None:
    """Raise with this message unless the condition holds."""
    if not holds:
        raise SmokeFailureError(otherwise)


def steps(smoke: Smoke) -> list[tuple[str, Callable[[], str]]]:
    """The steps, in order."""
    return [
        ("ready", smoke.is_ready),
        ("described", smoke.is_described),
        ("create", smoke.creates_agents),
        ("recommend", smoke.recommends),
        ("results", smoke.takes_results),
        ("reward", smoke.rewards),
        ("learning", smoke.learns),
        ("shadow", smoke.observes),
        ("listings", smoke.lists),
        ("restore", smoke.restores),
        ("refusals", smoke.refuses),
        ("delete", smoke.deletes),
    ]


def run_smoke(http: httpx.Client, prefix: str = "smoke-") -> list[StepReport]:
    """All steps until a step fails; the agents are deleted in either case."""
    name = f"{prefix}{secrets.token_hex(4)}"
    smoke = Smoke(http, name, f"{name}-shadow")
    reports: list[StepReport] = []
    try:
        for step, action in steps(smoke):
            if reports and reports[-1].outcome != "ok":
                reports.append(StepReport(step, "not tried", "", 0.0))
            else:
                reports.append(_tried(step, action))
    finally:
        smoke.clean_up()
    return reports


def _tried(step: str, action: Callable[[], str]) -> StepReport:
    started = time.perf_counter()
    try:
        outcome, detail = "ok", action()
    except (SmokeFailureError, httpx.HTTPError, KeyError, TypeError, ValueError) as error:
        outcome, detail = (
            "failed",
            f"{type(error).__name__}: {error}" if not isinstance(error, SmokeFailureError) else str(error),
        )
    return StepReport(step, outcome, detail, round(1000 * (time.perf_counter() - started), 1))


def _client(url: str, token: str, timeout: float) -> httpx.Client:
    """Speaks to that service.

    Raises:
        InputError: it is not a URL, or the token has impossible characters.
    """
    if not url.startswith(("http://", "https://")):
        raise InputError(f"{url!r} is not a URL", "URL", "http://HOST:PORT")
    if not (token.isascii() and token.isprintable()):
        raise InputError(
            "it contains characters that a token cannot contain", "--token", "what `proctor token create` printed"
        )
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        return httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=timeout)
    except httpx.InvalidURL as error:
        raise InputError(f"{url!r} is not a URL ({error})", "URL", "http://HOST:PORT") from error


def smoke(
    url: Annotated[str, typer.Argument(help="Where the service listens, for example http://127.0.0.1:8000.")],
    token: Annotated[str, typer.Option(envvar="PROCTOR_TOKEN", help="Bearer token with the scope admin.")] = "",
    prefix: Annotated[str, typer.Option(help="First part of the names of the two throw-away agents.")] = "smoke-",
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds to wait for an answer.")] = 30.0,
    output_format: Annotated[OutputFormat, typer.Option("--format", help="table or json.")] = OutputFormat.TABLE,
) -> None:
    """Run the whole protocol against a deployed service and report what works; exit code 1 if a step fails."""
    with _client(url, token, timeout) as http:
        reports = run_smoke(http, prefix)
    if output_format is OutputFormat.JSON:
        print_json([asdict(report) for report in reports])
    else:
        for report in reports:
            print(f"{report.outcome:<9}  {report.step:<10} {report.milliseconds:8.1f} ms  {report.detail}")
    failed = [report for report in reports if report.outcome == "failed"]
    if failed:
        print(f"{failed[0].step} failed: {failed[0].detail}", file=sys.stderr)
        raise typer.Exit(1)

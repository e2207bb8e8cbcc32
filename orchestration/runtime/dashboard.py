"""A Ray cluster by its dashboard: deploys applications of Ray Serve, and waits until they run (Serve's REST API)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from envsearch.errors import InputError, ProctorError
from orchestration.runtime.edge import cluster_token
from orchestration.runtime.ray import cause_in

APPLICATIONS: Final = "/api/serve/applications/"
DEFAULT_ADDRESS: Final = "http://127.0.0.1:8265"
ADDRESS: Final = "RAY_DASHBOARD_ADDRESS"
FAILED: Final = ("DEPLOY_FAILED", "UNHEALTHY")
CALL_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.5
ATTEMPTS: Final = 5
"""Of a call whose connection is lost; nothing that listens is an error at once."""


def dashboard_address(option: str, environment: Mapping[str, str]) -> str:
    """The dashboard's URL: the option, RAY_DASHBOARD_ADDRESS, RAY_ADDRESS, or Ray's own default.

    Raises:
        InputError: what is set is not the URL of a dashboard.
    """
    places = {
        "address": option,
        ADDRESS: environment.get(ADDRESS, ""),
        "RAY_ADDRESS": environment.get("RAY_ADDRESS", ""),
    }
    field, address = next(((name, value) for name, value in places.items() if value), ("", DEFAULT_ADDRESS))
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"{address!r} is not the URL of a dashboard", field, f"one such as {DEFAULT_ADDRESS}")
    return address.rstrip("/")


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard, and the token of its cluster ("": none)."""

    address: str
    token: str

    @classmethod
    def of(cls, option: str, environment: Mapping[str, str]) -> Dashboard:
        """The dashboard that option and environment name.

        Raises:
            InputError: see `dashboard_address`.
        """
        return cls(dashboard_address(option, environment), cluster_token(environment))

    def deploy(self, config: Mapping[str, Any]) -> None:
        """Make the cluster run the applications of the configuration, and no others.

        Raises:
            InputError: nothing answers there, the token is wrong, or Serve refuses the configuration.
        """
        self._call("PUT", dict(config))

    def await_running(self, names: tuple[str, ...], seconds: float, report: Callable[[str], None]) -> None:
        """Wait until these applications run.

        Args:
            report: gets a line whenever a status changes.

        Raises:
            InputError: the dashboard does not answer any more.
            ProctorError: an application failed, or is not running in time.
        """
        end, last = time.monotonic() + seconds, ""
        while True:
            applications = self._call("GET")["applications"]
            status = {name: applications.get(name, {}).get("status", "NOT_STARTED") for name in names}
            if (line := ", ".join(f"{name} is {_words(status[name])}" for name in names)) != last:
                report(line)
                last = line
            _check_failed(status, applications)
            if all(each == "RUNNING" for each in status.values()):
                return
            if time.monotonic() > end:
                raise ProctorError(f"after {seconds:g} s, {line} (the cluster may lack resources: ray status)")
            time.sleep(POLL_SECONDS)

    def _call(self, method: str, body: object = None) -> Any:
        answer = self._answered(method, body)
        if answer.status_code in (401, 403):
            expected = "the cluster's token, in RAY_AUTH_TOKEN or ~/.ray/auth_token"
            raise InputError(f"the cluster at {self.address} refuses the token", "RAY_AUTH_TOKEN", expected)
        if answer.status_code != 200:
            problem = f"the cluster at {self.address} answers {answer.status_code} ({_reason(answer.text)})"
            raise InputError(problem, "configuration", "one for Ray Serve, such as serve_app/config.yaml")
        return answer.json() if method == "GET" else None

    def _answered(self, method: str, body: object) -> httpx.Response:
        """The answer. Every call may be repeated, and a dashboard that starts Serve drops some of them."""
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        url = self.address + APPLICATIONS
        attempt = 1
        while True:
            try:
                return httpx.request(method, url, json=body, headers=headers, timeout=CALL_SECONDS)
            except httpx.HTTPError as error:
                if attempt == ATTEMPTS or isinstance(error, httpx.ConnectError):
                    problem = f"no Ray dashboard answers at {self.address} ({str(error) or type(error).__name__})"
                    raise InputError(problem, "address", "the URL of a running cluster's dashboard") from error
            time.sleep(POLL_SECONDS * attempt)
            attempt += 1


def _check_failed(status: Mapping[str, str], applications: Mapping[str, Any]) -> None:
    for name, state in status.items():
        if state in FAILED:
            raise ProctorError(f"{name} is {_words(state)} ({_reason(applications[name].get('message', ''))})")


def _words(status: str) -> str:
    return status.lower().replace("_", " ")


def _reason(text: str) -> str:
    return cause_in(text)[:500] or "no reason given"

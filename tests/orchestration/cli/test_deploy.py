"""``proctor deploy`` against a dashboard of a few lines: how it finds the cluster, and what it says of a failure."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from envsearch.errors import InputError, ProctorError
from orchestration.cli.deploy import read_config
from orchestration.runtime.dashboard import Dashboard, dashboard_address

CONFIG = {"applications": [{"name": "proctor", "import_path": "serve_app.app:app"}]}
TRACEBACK = 'Traceback (most recent call last):\n  File "x"\nAttributeError: module has no attribute nothing\n'


class FakeDashboard:
    """Answers `GET` with the next of its statuses, the last one for ever."""

    def __init__(self, statuses: list[str]) -> None:
        self.statuses = statuses
        self.deployed: list[object] = []
        self.token = "right"
        self.dropped = 0
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self, status: int, body: object) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_PUT(self) -> None:
                if fake.dropped:
                    fake.dropped -= 1
                    self.close_connection = True
                    return None
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if self.headers["authorization"] != f"Bearer {fake.token}":
                    return self.answer(403, "no")
                fake.deployed.append(body)
                return self.answer(200, {})

            def do_GET(self) -> None:
                status = fake.statuses.pop(0) if len(fake.statuses) > 1 else fake.statuses[0]
                self.answer(200, {"applications": {"proctor": {"status": status, "message": TRACEBACK}}})

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def dashboard(self, token: str = "right") -> Dashboard:
        return Dashboard(f"http://127.0.0.1:{self.server.server_port}", token)


@pytest.fixture
def fake() -> Iterator[FakeDashboard]:
    made = FakeDashboard(["DEPLOYING", "DEPLOYING", "RUNNING"])
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_the_configuration_is_deployed_and_progress_is_reported_once(fake: FakeDashboard) -> None:
    lines: list[str] = []
    fake.dashboard().deploy(CONFIG)
    fake.dashboard().await_running(("proctor",), 30.0, lines.append)
    assert fake.deployed == [CONFIG]
    assert lines == ["proctor is deploying", "proctor is running"]


def test_a_lost_connection_is_tried_again(fake: FakeDashboard) -> None:
    fake.dropped = 2
    fake.dashboard().deploy(CONFIG)
    assert (fake.dropped, fake.deployed) == (0, [CONFIG])


def test_a_wrong_token_is_named(fake: FakeDashboard) -> None:
    with pytest.raises(InputError, match="refuses the token"):
        fake.dashboard("wrong").deploy(CONFIG)
    assert fake.deployed == []


def test_a_failed_application_is_one_line_with_the_cause(fake: FakeDashboard) -> None:
    fake.statuses = ["DEPLOY_FAILED"]
    with pytest.raises(ProctorError) as caught:
        fake.dashboard().await_running(("proctor",), 30.0, lambda _: None)
    assert str(caught.value) == "proctor is deploy failed (AttributeError: module has no attribute nothing)"


def test_an_application_that_never_runs_ends_the_wait(fake: FakeDashboard) -> None:
    fake.statuses = ["DEPLOYING"]
    with pytest.raises(ProctorError, match="after 0 s, proctor is deploying"):
        fake.dashboard().await_running(("proctor",), 0.0, lambda _: None)


def test_nobody_listens() -> None:
    with pytest.raises(InputError, match="no Ray dashboard answers"):
        Dashboard("http://127.0.0.1:1", "").deploy(CONFIG)


@pytest.mark.parametrize(
    ("option", "environment", "expected"),
    [
        ("http://a:1/", {"RAY_DASHBOARD_ADDRESS": "http://b:1"}, "http://a:1"),
        ("", {"RAY_DASHBOARD_ADDRESS": "http://b:1", "RAY_ADDRESS": "http://c:1"}, "http://b:1"),
        ("", {"RAY_ADDRESS": "https://c:1"}, "https://c:1"),
        ("", {}, "http://127.0.0.1:8265"),
    ],
)
def test_the_first_address_counts(option: str, environment: dict[str, str], expected: str) -> None:
    assert dashboard_address(option, environment) == expected


@pytest.mark.parametrize("address", ["auto", "10.0.0.1:6379", "ray://a:10001"])
def test_an_address_that_is_not_a_dashboard_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="RAY_ADDRESS"):
        dashboard_address("", {"RAY_ADDRESS": address})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("applications: []", "no applications"),
        ("- a", "no applications"),
        ("a: [", "not YAML"),
        (None, "cannot be read"),
    ],
)
def test_a_wrong_configuration_is_one_line(tmp_path: Path, text: str | None, problem: str) -> None:
    file = tmp_path / "config.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=problem) as caught:
        read_config(file)
    assert "\n" not in str(caught.value)

"""Fixtures of all tests."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

torch.set_num_threads(1)

# A busy machine is not a failure: examples have no deadline.
hypothesis.settings.register_profile("proctor", deadline=None)
hypothesis.settings.load_profile("proctor")

USING_RAY = ("tests/integration/", "tests/contracts/test_executors.py")
"""Tests that start Ray. They share the machine's cores and its cluster, so one process runs them in turn."""

INDEPENDENT = ("tests/agents/scheduling/test_published_baselines.py",)
"""Long files whose tests share nothing; they keep both processes busy to the end."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start Ray."""
    for item in items:
        if item.nodeid.startswith(USING_RAY):
            item.add_marker("ray")


class GroupedByFile(LoadScopeScheduling):  # type: ignore[misc]
    """Which tests one process runs in turn: those that start Ray, and those of one file.

    Tests of a file share its fixtures and compiled programs. The groups of pytest-xdist itself (`loadgroup`) do not
    reach its scheduler with this version of pytest.
    """

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(USING_RAY):
            return "ray"
        path = nodeid.partition("::")[0]
        return nodeid if path in INDEPENDENT else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupedByFile:
    return GroupedByFile(config, log)


@pytest.fixture(scope="session")
def proctor_data() -> Path:
    """The folder of the public data files; without PROCTOR_DATA the test is skipped."""
    folder = os.environ.get("PROCTOR_DATA")
    if not folder:
        pytest.skip("PROCTOR_DATA does not name the folder of the public data files")
    return Path(folder)


@pytest.fixture
def postgresql_url() -> Iterator[str]:
    """An empty database of the server that `make test-services` starts, dropped afterwards; skipped without one."""
    server = os.environ.get("PROCTOR_TEST_POSTGRESQL")
    if not server:
        pytest.skip("PROCTOR_TEST_POSTGRESQL does not name a PostgreSQL server (make test-services starts one)")
    import psycopg

    name = f"proctor_{uuid.uuid4().hex[:16]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    yield server.rpartition("/")[0] + f"/{name}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def s3_url() -> str:
    """An empty bucket of the endpoint that `make test-services` starts; skipped without one."""
    if not os.environ.get("PROCTOR_TEST_S3"):
        pytest.skip("PROCTOR_TEST_S3 does not name an S3 endpoint (make test-services starts one)")
    import s3fs

    bucket = f"proctor-{uuid.uuid4().hex[:16]}"
    s3fs.S3FileSystem().mkdir(bucket)
    return f"s3://{bucket}"

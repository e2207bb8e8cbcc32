"""Fixtures of all tests."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch

torch.set_num_threads(1)

# A busy machine is not a failure: examples have no deadline.
hypothesis.settings.register_profile("proctor", deadline=None)
hypothesis.settings.load_profile("proctor")

INTEGRATION = Path(__file__).parent / "integration"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests one process of pytest-xdist runs in turn.

    Tests that start Ray share the machine's cores and one cluster. Tests of a file with a module fixture share that
    fixture, which would else be made in every process.
    """
    for item in items:
        if INTEGRATION in item.path.parents:
            item.add_marker("ray")
        if item.get_closest_marker("ray"):
            item.add_marker(pytest.mark.xdist_group("ray"))
        elif _has_module_fixture(item):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def _has_module_fixture(item: pytest.Item) -> bool:
    definitions = getattr(item, "_fixtureinfo").name2fixturedefs.values()  # noqa: B009 - pytest has no public way
    return any(definition.scope == "module" for choices in definitions for definition in choices)


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

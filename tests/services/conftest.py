"""What the tests on real servers share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from orchestration.service.service import ServiceSettings


def _servers() -> Any:
    """The module beside this one; tests are no package."""
    name = "proctor_test_servers"
    if name not in sys.modules:
        spec = spec_from_file_location(name, Path(__file__).with_name("servers.py"))
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture
def own_postgresql(postgresql_url: str) -> Iterator[Any]:
    """A PostgreSQL server of this test alone, which it may kill."""
    with _servers().postgresql() as server:
        yield server


@pytest.fixture
def server_settings(tmp_path: Path, postgresql_url: str, s3_url: str) -> ServiceSettings:
    """A service that keeps nothing on this machine: PostgreSQL and S3."""
    places = {"store_url": postgresql_url, "artifact_url": f"{s3_url}/states", "archive_url": f"{s3_url}/archive"}
    return ServiceSettings.in_folder(tmp_path, snapshot_every=10, housekeeping_seconds=0.0, **places)

"""One local Ray for all integration tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestration.runtime.ray import RayRuntime, start_ray, stop_ray


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[RayRuntime]:
    """A local Ray with two CPUs; `RayExecutor` made while it runs uses it."""
    runtime = start_ray(cpus=2)
    yield runtime
    stop_ray(runtime)

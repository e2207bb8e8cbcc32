"""A client cannot make the service import code: only the import paths that the operator lists are allowed."""

from __future__ import annotations

import asyncio
import sys

import pytest

from orchestration.service.api.agents import CreateAgent
from orchestration.service.api.recommendations import RecommendationRequest
from orchestration.service.errors import InvalidRequestError
from orchestration.service.service import SchedulingService, ServiceSettings
from serve_app.settings import checked_arguments

MODULE = """
from pathlib import Path
from agents.scheduling.kinds.failure_rate import FailureRate
Path("imported").touch()

class Mine(FailureRate):
    kind = "mine"
"""


@pytest.fixture
def path(tmp_path, monkeypatch):
    """The import path of a kind in the working directory; its module leaves a file behind when it is imported."""
    (tmp_path / "kind_of_a_user.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield "kind_of_a_user:Mine"
    sys.modules.pop("kind_of_a_user", None)


async def created(settings, **parts):
    service = SchedulingService(settings)
    try:
        await service.create_agent(CreateAgent("nightly", **parts))
        answer = await service.recommend("nightly", RecommendationRequest.of(("a", "b")))
        return answer.agent_version
    finally:
        await service.close()


@pytest.mark.parametrize("field", ["kind", "reward", "exploration"])
def test_a_path_that_is_not_listed_is_refused_and_not_imported(tmp_path, path, field):
    settings = ServiceSettings.in_folder(tmp_path / "data", inline=True, import_paths=("somewhere:Else",))
    with pytest.raises(InvalidRequestError, match="does not import 'kind_of_a_user:Mine'") as refused:
        asyncio.run(created(settings, **{"kind": "random", field: path}))
    assert refused.value.field == field and "somewhere:Else" in str(refused.value)
    assert not (tmp_path / "imported").exists() and "kind_of_a_user" not in sys.modules


def test_a_listed_path_is_used(tmp_path, path):
    settings = ServiceSettings.in_folder(tmp_path / "data", inline=True, import_paths=(path,))
    assert asyncio.run(created(settings, kind=path)) == 0
    assert (tmp_path / "imported").exists()


def test_the_operator_lists_paths_in_the_arguments_of_the_application():
    assert checked_arguments({"import_paths": ["a:B"]}).service_settings().import_paths == ("a:B",)
    assert checked_arguments({}).service_settings().import_paths == ()

"""Every line is JSON and says which agent and episode it is about."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from envsearch.errors import InputError
from orchestration.runtime import logs
from orchestration.runtime.logs import PROJECT_LOGGERS, JsonLines, about, start_logs
from orchestration.service.api.agents import CreateAgent
from orchestration.service.api.recommendations import RecommendationRequest
from orchestration.service.errors import InternalError
from orchestration.service.service import SchedulingService, ServiceSettings


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in PROJECT_LOGGERS]
    before = [(logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]
    yield
    for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.propagate, logger.handlers = propagate, handlers


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]


def test_a_line_says_what_it_is_about(tmp_path: Path) -> None:
    start_logs("test", {"PROCTOR_LOGS": str(tmp_path), "PROCTOR_LOG_LEVEL": "info"})
    again = start_logs("test", {"PROCTOR_LOGS": "/nowhere"})
    log = logging.getLogger("orchestration.some.module")
    with about("nightly", "e1", "r1"):
        log.warning('forged\n{"level": "%s"}\x1b[31m', "INFO")
        with about("other"):
            log.info("inner")
    log.debug("unheard")
    try:
        raise ValueError("broken")
    except ValueError:
        log.error("failed", exc_info=True, extra={"agent": "named"})
    logging.getLogger("agents.x").error("also the project's")
    again.flush()
    first, inner, failed, other = lines(tmp_path)
    assert (first["agent"], first["episode"], first["level"]) == ("nightly", "e1", "WARNING")
    assert (first["request"], inner.get("request")) == ("r1", None)
    assert first["message"].startswith("forged\n")
    assert first["at"].endswith("Z")
    assert (inner["agent"], inner.get("episode")) == ("other", None)
    assert (failed["agent"], failed["error"]) == ("named", "ValueError")
    assert failed["traceback"][0].startswith("Traceback")
    assert failed["traceback"][-1] == "ValueError: broken"
    assert "agent" not in other


def test_a_traceback_is_readable_without_unescaping(tmp_path: Path) -> None:
    handler = start_logs("test", {"PROCTOR_LOGS": str(tmp_path)})
    coloured = "\x1b[36mray::task()\x1b[39m failed\nin two lines"
    try:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise RuntimeError(coloured) from error
    except RuntimeError:
        logging.getLogger("orchestration.x").exception("failed")
    handler.flush()
    (text,) = (file.read_text() for file in tmp_path.glob("*.jsonl"))
    assert "\\n" not in text
    assert "u001b" not in text
    (line,) = lines(tmp_path)
    assert line["traceback"][-2:] == ["RuntimeError: ray::task() failed", "in two lines"]
    assert "KeyError: 'inner'" in line["traceback"]


def test_a_long_message_is_cut() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "a" * 100_000, (), None)
    assert len(JsonLines().format(record)) < 30_000


@pytest.mark.parametrize(
    "variables", [{"PROCTOR_LOG_LEVEL": "LOUD"}, {"PROCTOR_LOGS": "/proc/none/here"}], ids=["level", "folder"]
)
def test_wrong_settings_are_told(variables: dict[str, str]) -> None:
    with pytest.raises(InputError, match="PROCTOR_LOG"):
        start_logs("test", variables)


def test_calls_of_a_service_are_logged_with_their_agent_and_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestration.service.owners.live_agent import LiveAgent

    start_logs("test", {"PROCTOR_LOGS": str(tmp_path / "logs"), "PROCTOR_LOG_LEVEL": "DEBUG"})

    def breaks(*_: Any) -> None:
        raise RuntimeError("a defect")

    async def run() -> str:
        service = SchedulingService(ServiceSettings.in_folder(tmp_path, inline=True))
        await service.create_agent(CreateAgent("nightly", "random"))
        answer = await service.recommend("nightly", RecommendationRequest.of(("a", "b")))
        monkeypatch.setattr(LiveAgent, "perform", breaks)
        with pytest.raises(InternalError):
            await service.reward("nightly", answer.episode_id)
        await service.close()
        return answer.episode_id

    episode = asyncio.run(run())
    entries = lines(tmp_path / "logs")
    carried = [entry for entry in entries if "carried out" in entry["message"]]
    assert [(entry["agent"], entry["episode"]) for entry in carried] == [("nightly", episode)]
    (woken,) = [entry for entry in entries if "woken" in entry["message"]]
    assert woken["agent"] == "nightly"
    (failed,) = [entry for entry in entries if entry["level"] == "ERROR"]
    assert (failed["agent"], failed["episode"], failed["error"]) == ("nightly", episode, "RuntimeError")
    assert logs.FOLDER == "PROCTOR_LOGS"

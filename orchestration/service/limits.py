"""What a request may hold. Checked before it goes to an agent's owner, so that a wrong one changes nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence

from agents.scheduling.episode import Budget
from agents.scheduling.registry import import_paths
from agents.scheduling.testcase import Verdict
from orchestration.service.errors import InvalidRequestError, NotFoundError, TooLargeError
from orchestration.service.owners.messages import Candidates, CreateAgent, RecommendationRequest, Results
from orchestration.service.store.schema import TEXT_LENGTH

MOST_TESTS = 100_000
LONGEST_ID = 1_000
LONGEST_TEXT = 2_000
MOST_OBSERVERS = 16
MOST_PAST_RUNS = 1_000
LONGEST_KEY = 64
LONGEST_NAME = 100
MOST_FEATURES = 64
LONGEST_PAGE = 500

_NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,100}")
_KEY = re.compile(r"[\x21-\x7e]{0,64}")
_EPISODE = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_VERDICTS = frozenset(Verdict)


def check_new_agent(request: CreateAgent, allowed_paths: Collection[str] = ()) -> None:
    """Raise if the name, the description, the budget or an import path is wrong; making the agent checks the rest.

    Raises:
        InvalidRequestError: it is.
    """
    if not _NAME.fullmatch(request.name):
        raise InvalidRequestError(
            f"{request.name[:100]!r} is no name of an agent; expected letters, digits, '.', '_' and '-', at most 100 "
            "and no '.' in front",
            "name",
        )
    check_text(request.description, "description")
    check_budget(request.settings.budget)
    for field, path in import_paths(request.settings).items():
        if path not in allowed_paths:
            allowed = f"one of its import paths ({', '.join(allowed_paths)})" if allowed_paths else "a built-in name"
            raise InvalidRequestError(f"this service does not import {path[:200]!r}; expected {allowed}", field)


def check_agent(name: str) -> None:
    """Raise if no agent can have this name.

    Raises:
        NotFoundError: none can.
    """
    if not _NAME.fullmatch(name):
        raise NotFoundError(f"there is no agent {name[:100]!r}", "agent")


def check_budget(budget: Budget) -> None:
    """Raise if a budget names too much; its numbers were checked when it was made.

    Raises:
        TooLargeError: it does.
    """
    check_ids(budget.must_run, "budget.must_run")


def check_recommendation(agent: str, request: RecommendationRequest) -> None:
    """Raise if a recommendation cannot be asked for like this.

    Raises:
        InvalidRequestError: it cannot.
        TooLargeError: it holds more than the limits allow.
    """
    if not len(request.candidates):
        raise InvalidRequestError("there is no test case; expected at least one", "test_cases")
    _check_candidates(request.candidates)
    check_ids(request.must_run, "must_run")
    if len(request.job) > TEXT_LENGTH or "\x1f" in request.job or "\x00" in request.job:
        raise InvalidRequestError(f"expected at most {TEXT_LENGTH} characters without control characters", "job")
    _check_seconds(request.time_budget_seconds, "time_budget_seconds")
    check_key(request.idempotency_key)
    if len(request.observe) > MOST_OBSERVERS:
        raise TooLargeError(f"{len(request.observe)} agents observe; expected at most {MOST_OBSERVERS}", "observe")
    if agent in request.observe or len(set(request.observe)) != len(request.observe):
        raise InvalidRequestError("expected other agents, each once", "observe")


def check_results(results: Results) -> None:
    """Raise if results cannot be told like this.

    Raises:
        InvalidRequestError: they cannot.
        TooLargeError: there are more than the limits allow.
    """
    check_ids(results.ids, "results")
    count = len(results.ids)
    for name in ("verdicts", "durations", "finished_at"):
        _check_length(getattr(results, name), count, f"results.{name}", may_be_empty=name != "verdicts")
    for index, verdict in enumerate(results.verdicts):
        if verdict not in _VERDICTS:
            expected = ", ".join(Verdict)
            raise InvalidRequestError(f"{verdict!r} is no verdict; expected {expected}", f"results[{index}].verdict")


def check_key(key: str) -> None:
    """Raise if an idempotency key is wrong.

    Raises:
        InvalidRequestError: it is.
    """
    if not _KEY.fullmatch(key):
        raise InvalidRequestError(f"expected at most {LONGEST_KEY} visible ASCII characters", "idempotency_key")


def check_episode(episode_id: str) -> None:
    """Raise if no episode can have this id.

    Raises:
        NotFoundError: none can.
    """
    if not _EPISODE.fullmatch(episode_id):
        raise NotFoundError(f"there is no episode {episode_id[:LONGEST_KEY]!r} of this agent", "episode")


def check_text(text: str, field: str) -> None:
    """Raise if a text for people is too long.

    Raises:
        TooLargeError: it is.
    """
    if len(text) > LONGEST_TEXT:
        raise TooLargeError(f"{len(text)} characters are too many; expected at most {LONGEST_TEXT}", field)


def check_ids(ids: Sequence[str], field: str) -> None:
    """Raise if there are too many ids, or one is too long.

    Raises:
        TooLargeError: so it is.
    """
    if len(ids) > MOST_TESTS:
        raise TooLargeError(f"{len(ids)} tests are too many; expected at most {MOST_TESTS}", field)
    lengths = list(map(len, ids))
    if not lengths or (min(lengths) > 0 and max(lengths) <= LONGEST_ID):
        return
    for index, name in enumerate(ids):
        if not 0 < len(name) <= LONGEST_ID:
            raise TooLargeError(f"an id has {len(name)} characters; expected 1 to {LONGEST_ID}", f"{field}[{index}].id")


def page_limit(limit: int) -> int:
    """The length of a page.

    Raises:
        InvalidRequestError: it is out of range.
    """
    if not 1 <= limit <= LONGEST_PAGE:
        raise InvalidRequestError(f"{limit} is out of range; expected 1 to {LONGEST_PAGE}", "limit")
    return limit


def name_cursor(cursor: str) -> str:
    """A cursor that is an agent's name; "": the first page.

    Raises:
        InvalidRequestError: it is none of ours.
    """
    if cursor and not _NAME.fullmatch(cursor):
        raise InvalidRequestError("expected the next_cursor of the page before", "cursor")
    return cursor


def number_cursor(cursor: str) -> int | None:
    """A cursor that is a number; None: the first page.

    Raises:
        InvalidRequestError: it is none of ours.
    """
    if not cursor:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise InvalidRequestError("expected the next_cursor of the page before", "cursor")
    return int(cursor)


def _check_candidates(candidates: Candidates) -> None:
    check_ids(candidates.ids, "test_cases")
    for name in ("durations", "features", "histories"):
        _check_length(getattr(candidates, name), len(candidates.ids), f"test_cases.{name}")
    for index, runs in enumerate(candidates.histories):
        if runs:
            _check_past_runs(runs, f"test_cases[{index}].history")


def _check_past_runs(runs: Sequence[tuple[str, float | None, float | None]], field: str) -> None:
    if len(runs) > MOST_PAST_RUNS:
        raise TooLargeError(f"{len(runs)} past runs are too many; expected at most {MOST_PAST_RUNS}", field)
    for verdict, duration, finished_at in runs:
        if verdict not in _VERDICTS:
            raise InvalidRequestError(f"{verdict!r} is no verdict; expected {', '.join(Verdict)}", field)
        _check_seconds(duration, field)
        if finished_at is not None and not math.isfinite(finished_at):
            raise InvalidRequestError(f"{finished_at!r} is no Unix time; expected a finite number", field)


def _check_length(column: Sequence[object], count: int, field: str, may_be_empty: bool = True) -> None:
    if len(column) != count and not (may_be_empty and not column):
        raise InvalidRequestError(f"{len(column)} values for {count} tests; expected one for each", field)


def _check_seconds(value: float | None, field: str) -> None:
    if value is not None and not (math.isfinite(value) and value >= 0.0):
        raise InvalidRequestError(f"{value!r} is out of range; expected seconds, finite and at least 0", field)

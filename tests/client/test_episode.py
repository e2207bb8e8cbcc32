"""An episode as a context manager, and the fallback without the service."""

from __future__ import annotations

import asyncio
import logging
import warnings

import httpx
import pytest
from proctor_client import (
    NotAllowedError,
    RefusedError,
    SchedulerClient,
    SchedulerWarning,
    ServiceUnavailableError,
    TestCase,
    TestResult,
)

DOWN = httpx.ConnectError("connection refused")


def test_the_common_case(make_client, service):
    with make_client().episode("nightly", "unit", ["a", "b"], time_budget_seconds=60) as episode:
        for name in episode.order:
            episode.report(name, "passed", 0.5)
        episode.report("a", "failed", 0.25)
    assert service.paths() == ["recommendations", "results", "reward"]
    assert service.body(1)["results"] == [
        {"id": "b", "verdict": "passed", "duration": 0.5},
        {"id": "a", "verdict": "failed", "duration": 0.25},
    ]
    assert episode.reward.total == 2.5
    assert (episode.id, episode.not_selected) == ("e1", ())


def test_parts_are_sent_once(make_client, service):
    with make_client().episode("nightly", "unit", ["a", "b"]) as episode:
        episode.report("a", "passed")
        episode.send()
        episode.report("a", "passed")
        with pytest.raises(ValueError, match="has already been sent"):
            episode.report("a", "failed")
        episode.report("b", "skipped")
    assert service.paths() == ["recommendations", "results", "results", "reward"]
    assert service.body(2)["results"] == [{"id": "b", "verdict": "skipped"}]


def test_real_time(make_client, service):
    with make_client().episode("nightly", "unit", ["a", "b"]) as episode:
        assert episode.next_test().test_id == "b"
        episode.report("b", "passed")
        episode.next_test()
    assert service.paths() == ["recommendations", "next", "next", "reward"]
    assert service.body(2)["results"] == [{"id": "b", "verdict": "passed"}]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("c", "passed"), "'c' is not a test of this episode"),
        (("a", "green"), "'green' is not a verdict"),
        (("a", "passed", -1.0), "duration is -1.0"),
        (("a", "passed", float("nan")), "duration is nan"),
        (("a", "passed", 1.0, float("inf")), "finished_at is inf"),
    ],
)
def test_wrong_reports_are_refused_at_once(arguments, problem, make_client):
    with make_client().episode("nightly", "unit", ["a"]) as episode:
        with pytest.raises(ValueError, match=problem):
            episode.report(*arguments)
        assert episode.results == ()


def test_an_episode_outside_of_a_with_block_is_refused(make_client):
    with pytest.raises(RuntimeError, match=r"with client\.episode"):
        _ = make_client().episode("nightly", "unit", ["a"]).order


def test_an_aborted_run_is_reported_and_not_rewarded(make_client, service):
    with pytest.raises(KeyboardInterrupt), make_client().episode("nightly", "unit", ["a", "b"]) as episode:
        episode.report("a", "failed")
        raise KeyboardInterrupt
    assert service.paths() == ["recommendations", "results"]


def test_the_fallback_is_the_job_s_own_order(make_client, service, waits):
    service.failures = [DOWN] * 4
    with (
        pytest.warns(
            SchedulerWarning, match=r"connection refused \(tried 4 times\); the tests run in the job's own order"
        ),
        make_client().episode("nightly", "unit", ["c", "a", "b"]) as episode,
    ):
        assert episode.order == ("c", "a", "b")
        assert episode.next_test().test_id == "c"
        episode.report("c", "passed", 1.0)
        assert episode.next_test().test_id == "a"
        for name in ("a", "b"):
            episode.report(name, "failed")
        assert episode.next_test().test_id is None
    assert len(service.requests) == 4  # nothing is sent for an episode that does not exist
    assert episode.reward is None
    assert "connection refused" in episode.recommendation.fallback
    assert episode.ranking[0].reasons == ("the job's own order: the service is not available",)


def test_a_refusal_breaks_no_job_either(make_client, service):
    service.failures = [401]
    with pytest.warns(SchedulerWarning, match="scripted failure 401"):
        assert make_client().recommend("nightly", ["b", "a"]).order == ("b", "a")


def test_raise_raises(make_client, service):
    service.failures = [DOWN]
    with pytest.raises(ServiceUnavailableError, match="tried once"):
        make_client(on_failure="raise", retries=0).recommend("nightly", ["a"])
    service.failures = [403]
    with pytest.raises(NotAllowedError):
        make_client(on_failure="raise").recommend("nightly", ["a"])


def test_agents_always_raise(make_client, service):
    service.failures = [409]
    with pytest.raises(RefusedError):
        make_client().create_agent("nightly", "network")


def test_results_that_cannot_be_sent_warn_and_are_not_rewarded(make_client, service):
    client = make_client(retries=0)
    with pytest.warns(SchedulerWarning, match="1 results are not reported"):
        with client.episode("nightly", "unit", ["a"]) as episode:
            episode.report("a", "passed")
            service.failures = [DOWN]
        assert episode.reward is None
    assert service.paths() == ["recommendations", "results"]


def test_results_that_could_not_be_sent_go_with_the_next_ones(make_client, service):
    with make_client(retries=0).episode("nightly", "unit", ["a", "b"]) as episode:
        episode.report("a", "passed")
        service.failures = [DOWN]
        with pytest.warns(SchedulerWarning):
            episode.send()
        episode.report("b", "passed")
    assert [entry["id"] for entry in service.body(2)["results"]] == ["a", "b"]
    assert episode.reward is not None


def test_a_next_that_fails_falls_back_and_loses_no_result(make_client, service):
    with make_client(retries=0).episode("nightly", "unit", ["a", "b"]) as episode:
        episode.report("b", "passed")
        service.failures = [DOWN]
        with pytest.warns(SchedulerWarning):
            assert episode.next_test().test_id == "a"
        episode.report("a", "passed")
    assert set(service.results) == {"a", "b"}


def test_an_error_at_the_end_does_not_hide_the_job_s_own(make_client, service):
    client = make_client(on_failure="raise", retries=0)
    with (
        pytest.warns(SchedulerWarning, match="aborted run"),
        pytest.raises(ZeroDivisionError),
        client.episode("nightly", "unit", ["a"]) as episode,
    ):
        episode.report("a", "passed")
        service.failures = [DOWN]
        raise ZeroDivisionError


def test_warnings_as_errors_break_no_job(make_client, service, caplog):
    service.failures = [401]
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING, "proctor_client"):
        warnings.simplefilter("error")
        assert make_client().recommend("nightly", ["b", "a"]).order == ("b", "a")
    assert "scripted failure 401" in caplog.text


def test_the_budget_is_kept_as_far_as_durations_are_known(make_client, service):
    service.failures = [401]
    tests = [TestCase("long", 50.0), TestCase("must", 30.0), TestCase("short", 5.0), TestCase("unknown"), "bare"]
    with pytest.warns(SchedulerWarning):
        answer = make_client().recommend("nightly", tests, time_budget_seconds=40.0, must_run=["must"])
    assert answer.order == ("must", "short", "unknown", "bare")
    assert answer.not_selected == ("long",)
    assert [entry.position for entry in answer.ranking] == [1, 2, 3, 4, 5]


def test_a_job_without_tests_sends_no_request(make_client, service):
    with make_client().episode("nightly", "unit", []) as episode:
        assert episode.order == ()
    assert service.requests == []


def test_nothing_to_report_is_still_rewarded(make_client, service):
    with make_client().episode("nightly", "unit", ["a"]):
        pass
    assert service.paths() == ["recommendations", "reward"]


def test_a_port_where_nothing_listens_breaks_no_job():
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    client = SchedulerClient(url, retries=1, sleep=lambda _: None)
    with pytest.warns(SchedulerWarning, match="ConnectError"):
        assert client.recommend("nightly", ["b", "a"]).order == ("b", "a")


# -- the asynchronous twin --


def test_the_twin_sends_the_same_requests(make_client, make_async_client, service):
    def plain(requests):
        hidden = {"idempotency-key", "x-request-id"}
        heads = [{k: v for k, v in r.headers.items() if k not in hidden} for r in requests]
        return [(r.method, str(r.url), r.content, head) for r, head in zip(requests, heads, strict=True)]

    with make_client(token="t").episode("nightly", "unit", ["a", "b"], must_run=["a"]) as episode:
        episode.report("b", "failed", 1.0)
        episode.next_test()
        episode.report("a", "passed", 2.0)
    blocking, expected = plain(service.requests), episode.reward
    service.requests.clear()
    service.results.clear()
    service.rewarded = 0

    async def twin():
        async with make_async_client(token="t") as client:
            async with client.episode("nightly", "unit", ["a", "b"], must_run=["a"]) as episode:
                episode.report("b", "failed", 1.0)
                await episode.next_test()
                episode.report("a", "passed", 2.0)
            return episode

    assert asyncio.run(twin()).reward == expected
    assert plain(service.requests) == blocking


def test_the_twin_retries_and_falls_back(make_async_client, service, waits):
    async def twin():
        async with make_async_client() as client:
            service.failures = [503, DOWN]
            answer = await client.recommend("nightly", ["a", "b"])
            receipt = await client.submit_results(answer, [TestResult("a", "passed")])
            reward = await client.assign_reward(answer)
            service.failures = [DOWN] * 4
            return answer, receipt, reward, await client.recommend("nightly", ["a", "b"])

    with pytest.warns(SchedulerWarning):
        answer, receipt, reward, fallback = asyncio.run(twin())
    assert (answer.order, fallback.order) == (("b", "a"), ("a", "b"))
    assert (receipt.recorded, reward.agent_version) == (1, 4)
    assert len(waits) == 5


def test_the_twin_has_every_call(make_async_client, service):
    from proctor_client import AsyncEpisode, AsyncSchedulerClient, Episode

    def public(cls):
        return {name for name in dir(cls) if not name.startswith("_")}

    assert public(SchedulerClient) - {"close"} == public(AsyncSchedulerClient) - {"aclose"}
    assert public(Episode) == public(AsyncEpisode)

    async def twin():
        client = make_async_client()
        made = await client.create_agent("nightly", "network")
        listed = await client.agents()
        await client.delete_agent("a")
        await client.agent("nightly")
        await client.aclose()
        return made.name, len(listed)

    assert asyncio.run(twin()) == ("nightly", 1)

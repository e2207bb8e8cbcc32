"""The client's types are those of the service: each field, whether it can be left out, and whether it can be null."""

from __future__ import annotations

import dataclasses
import json
import types
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import proctor_client.types as client
import pytest
from proctor_client import protocol

from agents.scheduling.testcase import Verdict
from orchestration.service.api import agents, episodes, limits, recommendations
from orchestration.service.api.decoding import decode, encode

REQUESTS: list[tuple[Any, type[msgspec.Struct]]] = [
    (client.PastRun, recommendations.PastRun),
    (client.TestCase, recommendations.Candidate),
    (client.TestResult, recommendations.ReportedResult),
]
ANSWERS: list[tuple[Any, type[msgspec.Struct], set[str], set[str]]] = [
    (client.RankedTest, recommendations.RankedCandidate, set(), set()),
    (client.Recommendation, recommendations.RecommendationAnswer, {"agent", "fallback"}, {"opened_at"}),
    (client.Receipt, recommendations.ResultsAnswer, set(), set()),
    (client.Reward, recommendations.RewardAnswer, set(), {"rewarded_at"}),
    (client.NextTest, recommendations.NextAnswer, set(), set()),
    (client.MetricsRow, episodes.MetricsRow, set(), {"rewarded_at"}),
]
"""Type, struct, fields that only the client has, fields that it does not read."""


def struct_fields(kind: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(kind)}


def can_be_none(hint: Any) -> bool:
    while get_origin(hint) is not None and hasattr(hint, "__metadata__"):
        hint = get_args(hint)[0]
    return get_origin(hint) in (Union, types.UnionType) and any(
        kind is types.NoneType or can_be_none(kind) for kind in get_args(hint)
    )


@pytest.mark.parametrize(("own", "struct"), REQUESTS, ids=lambda kind: kind.__name__)
def test_requests_have_the_fields_of_the_service(own: Any, struct: type[msgspec.Struct]) -> None:
    fields = {field.name: field for field in dataclasses.fields(own)}
    theirs = struct_fields(struct)
    assert list(fields) == list(theirs)
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        assert required == theirs[name].required, name


@pytest.mark.parametrize(("own", "struct", "extra", "unread"), ANSWERS, ids=lambda kind: getattr(kind, "__name__", ""))
def test_answers_have_the_fields_of_the_service(
    own: Any, struct: type[msgspec.Struct], extra: set[str], unread: set[str]
) -> None:
    fields, theirs, hints = (
        {field.name for field in dataclasses.fields(own)},
        struct_fields(struct),
        get_type_hints(own),
    )
    assert fields - extra == set(theirs) - unread
    for name in fields - extra:
        assert not can_be_none(theirs[name].type) or can_be_none(hints[name]), f"{name} can be null"


def test_requests_are_accepted_as_they_are_sent() -> None:
    run = client.PastRun("failed", 1.5, 1.7e9)
    test = client.TestCase("a", 2.0, {"lines": 3, "owner": "ann", "slow": True}, [run])
    body = {"job": "unit", "test_cases": [test.to_json(), client.TestCase("b").to_json()]}
    request = decode(recommendations.RecommendationRequest, json.dumps(body).encode())
    assert request.test_cases == [
        recommendations.Candidate(
            "a",
            2.0,
            {"lines": 3.0, "owner": "ann", "slow": True},
            [recommendations.PastRun(Verdict.FAILED, 1.5, 1.7e9)],
        ),
        recommendations.Candidate("b"),
    ]
    results = {"results": [client.TestResult("a", client.Verdict.ERROR, 0.5, 1.7e9).to_json()]}
    (result,) = decode(recommendations.ResultsRequest, json.dumps(results).encode()).results
    assert result == recommendations.ReportedResult("a", Verdict.ERROR, 0.5, 1.7e9)


def test_answers_are_read_as_they_are_written() -> None:
    ranked = recommendations.RankedCandidate("a", 1, 0.5, True, 2.0, ("new",), 0.125)
    written = recommendations.RecommendationAnswer("e", 3, 1.7e9, 0.25, ("shadow",), [ranked])
    read = client.Recommendation.from_json("nightly", json.loads(encode(written)))
    assert (read.episode_id, read.agent_version, read.exploration, read.observers) == ("e", 3, 0.25, ("shadow",))
    assert [dataclasses.asdict(test) for test in read.ranking] == [msgspec.structs.asdict(ranked)]
    rewarded = [recommendations.RewardedTest("a", None), recommendations.RewardedTest("b", 0.5)]
    reward = recommendations.RewardAnswer("e", 4, 0.5, 1.7e9, True, {"napfd": 1.0}, rewarded)
    assert client.Reward.from_json(json.loads(encode(reward))) == client.Reward(
        "e", 4, 0.5, {"a": None, "b": 0.5}, {"napfd": 1.0}, True
    )


def test_an_agent_is_read_whole() -> None:
    names = set(struct_fields(agents.AgentInfo))
    written = dict.fromkeys(names, 1)
    read = client.AgentInfo.from_json(written)
    assert {field.name for field in dataclasses.fields(read)} - {"settings"} | set(read.settings) == names


def test_lists_of_names_and_limits_agree() -> None:
    assert [verdict.value for verdict in client.Verdict] == [verdict.value for verdict in Verdict]
    assert protocol.PAGE == limits.PAGE
    assert protocol.RESULTS_PER_CALL <= limits.TESTS

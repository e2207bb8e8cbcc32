"""Types of the fields that several bodies share, with their limits and patterns."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta

from agents.scheduling.registry import AGENT_KINDS, EXPLORATIONS, REWARDS
from agents.scheduling.testcase import Verdict
from orchestration.service.api import limits


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request: closed to unknown fields."""


# Patterns end with \Z, because $ also matches before a last line feed. The OpenAPI document shows $.
PLAIN: Final = r"^[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*\Z"
"""No control characters, line separators or marks of direction: logs, terminals and one of the databases cannot
take them, and a text with such marks can look like another one."""
WITHOUT_NUL: Final = r"^[^\x00]*\Z"
NAME: Final = rf"^[A-Za-z0-9_-][A-Za-z0-9._-]{{0,{limits.NAME - 1}}}\Z"
EPISODE: Final = rf"^[A-Za-z0-9._:-]{{1,{limits.EPISODE}}}\Z"
KEY: Final = rf"^[\x21-\x7e]{{0,{limits.KEY}}}\Z"
PATTERNS: Final = {
    PLAIN: "text without control characters and marks of direction",
    WITHOUT_NUL: "text without the character NUL",
    NAME: f"letters, digits, '.', '_' and '-', no '.' in front, at most {limits.NAME}",
    EPISODE: f"letters, digits, '.', '_', ':' and '-', at most {limits.EPISODE}",
    KEY: f"printable ASCII characters without spaces, at most {limits.KEY}",
}
"""Pattern -> what a caller reads in its place."""

AgentName = Annotated[
    str,
    Meta(
        pattern=NAME,
        description=f"Letters, digits, '.', '_' and '-', no '.' in front; at most {limits.NAME}.",
        examples=["nightly"],
    ),
]
EpisodeId = Annotated[str, Meta(pattern=EPISODE, description="Id of the episode, from the recommendation.")]
IdempotencyKey = Annotated[
    str, Meta(pattern=KEY, description="A retry with the same key gets the first call's answer; nothing happens twice.")
]
TestId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=limits.TEST_ID,
        examples=["tests/test_login.py::test_wrong_password"],
        extra_json_schema={"pattern": PLAIN},  # a pattern for each of 100,000 ids would be slow: see `columns`
    ),
]
CheckedTestId = Annotated[str, Meta(min_length=1, max_length=limits.TEST_ID, pattern=PLAIN)]
JobName = Annotated[str, Meta(max_length=limits.JOB, pattern=PLAIN)]
ShortText = Annotated[str, Meta(max_length=limits.NAME, extra_json_schema={"pattern": PLAIN})]
CheckedShortText = Annotated[str, Meta(max_length=limits.NAME, pattern=PLAIN)]
Text = Annotated[str, Meta(max_length=limits.TEXT, pattern=WITHOUT_NUL)]
Seconds = Annotated[float, Meta(ge=0, le=limits.SECONDS, description="Seconds.")]
UnixTime = Annotated[float, Meta(ge=0, le=limits.UNIX_TIME, description="Unix time, seconds.")]
Number = Annotated[float, Meta(ge=-limits.NUMBER, le=limits.NUMBER)]
Integer = Annotated[int, Meta(ge=-limits.INTEGER, le=limits.INTEGER)]
Count = Annotated[int, Meta(ge=0, le=limits.INTEGER)]

FeatureValue = Number | bool | ShortText
Features = Annotated[
    dict[ShortText, FeatureValue],
    Meta(max_length=limits.FEATURES, description="Numbers and categories that describe the test."),
]
SettingValue = bool | Integer | Number | CheckedShortText
Settings = Annotated[dict[CheckedShortText, SettingValue], Meta(max_length=limits.SETTINGS)]

ArchiveChoice = Annotated[
    Literal["keep", "remove"], Meta(description="`remove`: also what was off-loaded to the archive.")
]
PageLimit = Annotated[int, Meta(ge=1, le=limits.PAGE, description="Longest page.")]
Cursor = Annotated[
    str, Meta(max_length=limits.CURSOR, description="`next_cursor` of the page before; empty: the first page.")
]


def _one_of(names: Any) -> Meta:
    # The tables themselves refuse other names, and suggest the nearest known one.
    return Meta(max_length=limits.NAME, pattern=PLAIN, extra_json_schema={"enum": list(names)})


KindName = Annotated[str, _one_of(AGENT_KINDS)]
RewardName = Annotated[str, _one_of(REWARDS)]
ExplorationName = Annotated[str, _one_of(EXPLORATIONS)]
Fill = Literal["greedy", "prefix"]
Objective = Literal["failures_first", "time_first"]

CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "verdict": tuple(Verdict),
    "fill": get_args(Fill),
    "objective": get_args(Objective),
}
"""Field -> the texts that it can hold."""

is_name = re.compile(NAME).match
is_episode_id = re.compile(EPISODE).match
is_key = re.compile(KEY).match
is_plain = re.compile(PLAIN).match

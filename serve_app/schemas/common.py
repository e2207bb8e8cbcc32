"""Values that many calls share: names, ids, seconds, pages.

Bodies are read by pydantic's own JSON parser in strict mode: a number in quotes is no number, NaN and infinity are
refused, and so is every field that is not known. What comes once per test is a `TypedDict` and no model: a plain dict
is made three times faster, and 10,000 models also keep the garbage collector busy.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from serve_app.limits import ID_TEXT, NAME_TEXT, PAGE, TEXT

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

PLAIN = r"^[^\x00-\x1f\x7f]*$"
"""No control characters: logs, terminals and one of the databases would mind them."""

NAME = rf"^[A-Za-z0-9_-][A-Za-z0-9._-]{{0,{NAME_TEXT - 1}}}$"

AgentName = Annotated[
    str,
    Field(
        pattern=NAME,
        description="Letters, digits, '.', '_' and '-', no '.' in front; at most 100.",
        examples=["nightly"],
    ),
]
TestId = Annotated[
    str, Field(min_length=1, max_length=ID_TEXT, pattern=PLAIN, examples=["tests/test_login.py::test_wrong_password"])
]
JobName = Annotated[str, Field(max_length=200, pattern=PLAIN)]
EpisodeId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,100}$")]
ShortText = Annotated[str, Field(max_length=NAME_TEXT, pattern=PLAIN)]
Text = Annotated[str, Field(max_length=TEXT, pattern=r"^[^\x00]*$")]
Seconds = Annotated[float, Field(ge=0, le=1e9, description="Seconds.")]
UnixTime = Annotated[float, Field(ge=0, le=1e11, description="Unix time, seconds.")]
Number = Annotated[float, Field(ge=-1e15, le=1e15)]

PageLimit = Annotated[int, Field(ge=1, le=PAGE, description="Longest page.")]
Cursor = Annotated[str, Field(max_length=400, description="`next_cursor` of the page before; empty: the first page.")]
Version = Annotated[int, Field(ge=0, le=2**53)]


class Body(BaseModel):
    """A call's body: strict, and closed to fields that are not known."""

    model_config = ConfigDict(**STRICT, frozen=True)


class FieldProblemOut(TypedDict):
    """What is wrong with one field."""

    field: str
    problem: str


class ProblemOut(TypedDict, total=False):
    """A problem document (RFC 9457). `type` is stable; `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblemOut]

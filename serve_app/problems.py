"""Problem documents (RFC 9457): the one form of every error."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import msgspec
from starlette.responses import Response

from orchestration.runtime.edge import TYPE_PREFIX

MEDIA_TYPE: Final = "application/problem+json"


class FieldProblem(msgspec.Struct, frozen=True):
    """What is wrong with one field (`test_cases[3].duration`), and what would be right."""

    field: str
    problem: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A problem document (RFC 9457). `type` is stable; `detail` is for people; `errors` are the fields to blame."""

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[FieldProblem, ...] = ()


def problem(slug: str, status: int, detail: str, errors: tuple[FieldProblem, ...] = ()) -> Problem:
    """One error.

    Args:
        slug: the sort of error, stable ("not-found").
        detail: what went wrong here, in one sentence.
    """
    return Problem(TYPE_PREFIX + slug, HTTPStatus(status).phrase, status, detail, errors)


def problem_response(document: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that carries a problem."""
    return Response(msgspec.json.encode(document), document.status, dict(headers or {}), MEDIA_TYPE)

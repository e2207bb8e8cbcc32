"""Problem documents (RFC 9457): the one form of every error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"

TYPE_PREFIX = "urn:proctor:problem:"
"""`type` of a problem is this and its slug; slugs never change their meaning."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field.

    Attributes:
        field: its place in the call ("test_cases[3].duration").
        problem: what is wrong, and what would be right.
    """

    field: str
    problem: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One error as the caller is told it.

    Attributes:
        slug: what sort of error, stable ("agent-not-found").
        status: of HTTP.
        detail: what went wrong here, in one sentence.
        errors: the fields to blame, where fields are.
    """

    slug: str
    status: int
    detail: str
    errors: tuple[FieldProblem, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The members of the document."""
        told: dict[str, Any] = {
            "type": TYPE_PREFIX + self.slug,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            told["errors"] = [{"field": entry.field, "problem": entry.problem} for entry in self.errors]
        return {**told, **self.extra}


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that carries a problem."""
    body = json.dumps(problem.document(), ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    return Response(body, problem.status, dict(headers or {}), MEDIA_TYPE)

"""Bodies in and out: read once by pydantic's JSON parser, written once as bytes."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from serve_app.shapes import refuse_misshapen

ModelT = TypeVar("ModelT", bound=BaseModel)

JSON = "application/json"


async def body_of(request: Request, model: type[ModelT]) -> ModelT:
    """The call's body.

    A body must say that it is JSON: a page in somebody's browser can post a form or plain text to a service on the
    same machine, but not JSON without being asked first.

    Raises:
        HTTPException: 415, it does not say that it is JSON.
        BodyTooLargeError: it is larger than the limit.
        ValidationError: it is no JSON, or not what the call takes.
        InvalidRequestError, HTTPException: 422, 413, 400: the same of a large one.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise HTTPException(415, f"the body's content-type is {kind or 'not told'!r}; expected {JSON}")
    body = await request.body()
    refuse_misshapen(body, model)
    return model.model_validate_json(body)


@cache
def adapter(answer: Any) -> TypeAdapter[Any]:
    """What writes answers of one type."""
    return TypeAdapter(answer)


def answered(answer: Any, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer of that type, written as bytes."""
    return Response(adapter(answer).dump_json(value), status, headers, JSON)

"""Large bodies are looked through before they are read: the first thing that is wrong with one is told, and no more.

The reader of bodies notes everything that is wrong, and keeps it: of a body with a million unknown fields it makes a
million notes, which takes many times the body's memory, and minutes. Of a small body that is what a caller wants.
What a large one may hold is taken from the same schema that the OpenAPI document shows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from orchestration.service.errors import InvalidRequestError, TooLargeError

SMALL: Final = 32 * 1024
"""Bytes of a body of which everything that is wrong is told."""

LONGEST: Final = 300
"""Most characters of what is told."""

_TOLD: Final = re.compile(r"(?s)(?P<problem>.*) - at `(?:key` in `)?\$\.?(?P<field>[^`]*)`")
_TOO_LONG: Final = re.compile(r"Expected `(?:array|object)` of (?:length|size) (?:<=|between)")


def refuse_misshapen(body: bytes, model: type[BaseModel]) -> None:
    """Raise if a large body is not what the call takes.

    Raises:
        TooLargeError: a list or a mapping in it has too many entries.
        InvalidRequestError: something else in it is wrong; the first place is told.
        HTTPException: 400, it is no JSON.
    """
    if len(body) <= SMALL:
        return
    try:
        _decoder(model).decode(body)
    except msgspec.ValidationError as error:
        _refuse_no_json(body)
        text = str(error)
        told = _TOLD.fullmatch(text)
        problem, field = (told["problem"], told["field"]) if told else (text, "")
        kind = TooLargeError if _TOO_LONG.match(problem) else InvalidRequestError
        raise kind(problem[:LONGEST], field) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_json(error) from error


def _refuse_no_json(body: bytes) -> None:
    """Raise if it is no JSON at all, be its beginning wrong or not: nothing is kept of what is read."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_json(error) from error


def _no_json(error: Exception) -> HTTPException:
    return HTTPException(400, f"Invalid JSON: {str(error)[:LONGEST]}")


@cache
def _decoder(model: type[BaseModel]) -> msgspec.json.Decoder[Any]:
    schema = model.model_json_schema()
    return msgspec.json.Decoder(_Shapes(schema.get("$defs", {})).of(schema))


class _Shapes:
    """Types that hold what a JSON schema describes.

    Args:
        named: the schemas that others refer to.
    """

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        self._made: dict[str, Any] = {}

    def of(self, schema: Mapping[str, Any]) -> Any:
        """The type of a schema."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if name not in self._made:
                self._made[name] = self.of(self._named[name])
            return self._made[name]
        if "anyOf" in schema:
            return reduce(or_, [self.of(one) for one in schema["anyOf"]])
        if "const" in schema or "enum" in schema:
            return Literal[tuple(schema.get("enum", (schema.get("const"),)))]
        return _MAKERS[schema["type"]](self, schema)

    def record(self, schema: Mapping[str, Any]) -> Any:
        """Known fields, or any number of entries of one sort."""
        if "properties" not in schema:
            (pattern, value), *_ = schema["patternProperties"].items()
            key = _limited(str, {**schema.get("propertyNames", {}), "pattern": pattern}, _TEXT)
            return _limited(dict.__class_getitem__((key, self.of(value))), schema, {"maxProperties": "max_length"})
        required = set(schema.get("required", ()))
        fields = [
            (name, self.of(one)) if name in required else (name, self.of(one) | msgspec.UnsetType, msgspec.UNSET)
            for name, one in schema["properties"].items()
        ]
        fields.sort(key=len)
        return msgspec.defstruct(schema["title"], fields, forbid_unknown_fields=True, gc=False)

    def array(self, schema: Mapping[str, Any]) -> Any:
        """Any number of one sort."""
        return _limited(list[self.of(schema["items"])], schema, _ARRAY)  # type: ignore[misc]


_TEXT: Final = {"minLength": "min_length", "maxLength": "max_length", "pattern": "pattern"}
_ARRAY: Final = {"minItems": "min_length", "maxItems": "max_length"}
_NUMBER: Final = {"minimum": "ge", "maximum": "le"}


def _limited(kind: Any, schema: Mapping[str, Any], names: Mapping[str, str]) -> Any:
    limits = {name: schema[told] for told, name in names.items() if told in schema}
    if "pattern" in limits:
        limits["pattern"] = limits["pattern"].removesuffix("$") + r"\Z"  # "$" is also before a last line feed
    return Annotated[kind, msgspec.Meta(**limits)] if limits else kind


_MAKERS: Final[Mapping[str, Any]] = {
    "object": _Shapes.record,
    "array": _Shapes.array,
    "string": lambda _, schema: _limited(str, schema, _TEXT),
    "number": lambda _, schema: _limited(float, schema, _NUMBER),
    "integer": lambda _, schema: _limited(int, schema, _NUMBER),
    "boolean": lambda _, schema: bool,
    "null": lambda _, schema: None,
}

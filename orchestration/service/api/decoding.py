"""Bodies as structs and back; what is wrong with a body is said in one line that names the field.

JSON is read strictly: a number in quotes is not a number, NaN and infinity are refused, and so are unknown fields.
Only the first violation is reported, so a large body with a million of them costs no more than one with a single one.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, Final, TypeVar

import msgspec

from orchestration.service.api.fields import CHOICES, PATTERNS, FeatureValue, SettingValue
from orchestration.service.errors import InvalidRequestError, MalformedBodyError, ServiceError, TooLargeError

StructT = TypeVar("StructT", bound=msgspec.Struct)

SMALL: Final = 32 * 1024
"""Bytes of a body that may be read a second time, as plain values, to say better what is wrong."""

LONGEST: Final = 300
LONGEST_NAME: Final = 100
"""Most characters of a problem, and of a name in it that the caller chose."""

_WITH_PLACE: Final = re.compile(r"(?s)(?P<problem>.*) - at `(?:key` in `)?\$\.?(?P<place>[^`]*)`")
_FIELD: Final = re.compile(r"(?s)Object (?P<what>contains unknown|missing required) field `(?P<name>.*)`")
_CHOICE: Final = re.compile(r"(?s)Invalid enum value '?(?P<value>.*?)'?")
_PATTERN: Final = re.compile(r"(?s)Expected `[a-z| ]+` matching regex (?P<pattern>.*)")
_IN_WORDS: Final = {repr(pattern): words for pattern, words in PATTERNS.items()}
_TOO_LONG: Final = re.compile(r"Expected `(?:array|object)` of (?:length|size) <= (?P<most>\d+)")
_TYPES: Final = {
    "array": "a list",
    "bool": "true or false",
    "float": "a number",
    "int": "an integer",
    "null": "null",
    "object": "an object",
    "str": "a text",
}

encode = msgspec.json.Encoder().encode


def decode(kind: type[StructT], body: bytes) -> StructT:
    """The struct that a body holds.

    Raises:
        MalformedBodyError: the body is not valid JSON.
        TooLargeError: a list or an object in it has too many entries.
        InvalidRequestError: anything else in it is wrong; `field` is its place.
    """
    try:
        struct: StructT = _decoder(kind).decode(body)
        return struct
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _refusal(kind, body, error) from error


def encode_checked(request: msgspec.Struct) -> bytes:
    """A struct made in Python as a body.

    Raises:
        InvalidRequestError: a value is of the wrong type or out of range; JSON would hide that a number is NaN.
    """
    try:
        msgspec.convert(msgspec.to_builtins(request), type(request))
        return encode(request)
    except msgspec.ValidationError as error:
        raise violation(error) from error


def violation(error: msgspec.ValidationError, body: bytes = b"") -> InvalidRequestError:
    """What the caller should know of the first violation.

    Args:
        body: that it is in; without it an entry of an object is not named.
    """
    text = str(error)
    match = _WITH_PLACE.fullmatch(text)
    problem, place = (match["problem"], match["place"]) if match else (text, "")
    if field := _FIELD.fullmatch(problem):
        place = f"{place}.{_cut(field['name'])}" if place else _cut(field["name"])
        problem = "is not a known field" if field["what"] == "contains unknown" else "is missing"
    elif choice := _CHOICE.fullmatch(problem):
        name = place.rpartition(".")[2]
        expected = ", ".join(CHOICES.get(name, ()))
        problem = f"{_cut(choice['value'])!r} is not a valid {name}; expected {expected}"
    elif (pattern := _PATTERN.fullmatch(problem)) and pattern["pattern"] in _IN_WORDS:
        problem = f"expected {_IN_WORDS[pattern['pattern']]}"
    elif too_long := _TOO_LONG.match(problem):
        return TooLargeError(f"there are too many entries; expected at most {too_long['most']}", place)
    return InvalidRequestError(_worded(problem)[:LONGEST], _entry(place, body))


def _refusal(kind: type[Any], body: bytes, error: Exception) -> ServiceError:
    broken = error if not isinstance(error, msgspec.ValidationError) else _syntax_error(body)
    if broken is None:
        assert isinstance(error, msgspec.ValidationError)
        return violation(error, body)
    if isinstance(broken, msgspec.DecodeError) and (number := _not_finite(kind, body)) is not None:
        return violation(number, body)
    return MalformedBodyError(f"the body is not valid JSON: {str(broken)[:LONGEST]}")


def _syntax_error(body: bytes) -> Exception | None:
    """What is wrong with the body as JSON, whatever it holds. Of a large one nothing is kept while it is read."""
    try:
        if len(body) <= SMALL:
            msgspec.json.decode(body)
        else:
            msgspec.json.decode(body, type=msgspec.Raw)
    except msgspec.ValidationError:  # a number out of range: the syntax is right
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return error
    return None


def _not_finite(kind: type[Any], body: bytes) -> msgspec.ValidationError | None:
    """The field that holds NaN or Infinity, which many writers of JSON produce."""
    if len(body) > SMALL:
        return None
    constants: list[str] = []

    def constant(name: str) -> float:
        constants.append(name)
        return float(name)

    try:
        value = json.loads(body.decode(), parse_constant=constant)
        if constants:
            msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return error
    except (ValueError, RecursionError):
        pass
    return None


def _entry(place: str, body: bytes) -> str:
    """The place with the name of the entry that the reader leaves out."""
    before, hole, _ = place.partition("[...]")
    if not hole or not body or len(body) > SMALL:
        return place
    entries: Any = msgspec.json.decode(body)
    for part in re.findall(r"\w+", before):
        entries = entries[int(part) if part.isdigit() else part]
    kind = FeatureValue if before.endswith("features") else SettingValue
    for name, value in entries.items():
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError:
            return f"{before}.{_cut(name)}"
    return place


def _worded(problem: str) -> str:
    """Without the reader's own names of types."""

    def types(match: re.Match[str]) -> str:
        return " or ".join(_TYPES.get(name, name) for name in match[1].split(" | "))

    text = re.sub(r"`([a-z| ]+)`", types, problem)
    return text[:1].lower() + text[1:]


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."


@cache
def _decoder(kind: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)

"""Reads a user's YAML: plain values only, none of the surprises of YAML 1.1, no duplicate keys, bounded size."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from envsearch.errors import InputError

MAXIMUM_BYTES = 256 * 1024
MAXIMUM_VALUES = 20_000
MAXIMUM_DEPTH = 64


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2: ``off`` is text, ``1e-3`` is a number, dates are text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's own contract)

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._merged = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """One node; refused if it is nested too deeply."""
        self._depth += 1
        if self._depth > MAXIMUM_DEPTH:
            raise InputError(f"is nested deeper than {MAXIMUM_DEPTH} levels", f"line {self.line + 1}")
        try:
            node: yaml.Node | None = super().compose_node(parent, index)
        finally:
            self._depth -= 1
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Insert merged mappings (``<<``). Each may multiply the earlier ones, so their total size is bounded."""
        super().flatten_mapping(node)
        self._merged += len(node.value)
        if self._merged > MAXIMUM_VALUES:
            raise InputError(f"merges more than {MAXIMUM_VALUES} values", f"line {node.start_mark.line + 1}")


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9](_?[0-9])*", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9](_?[0-9])*(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(f"^(?:{_pattern})$"),
        list(_first.replace("\0", "")) + ([""] if "\0" in _first else []),
    )


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key_node, _ in node.value:
        key = str(getattr(key_node, "value", ""))
        if key in seen:
            raise InputError(f"key {key!r} appears twice", f"line {key_node.start_mark.line + 1}")
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    return int(str(node.value).replace("_", ""))


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Raises:
        InputError: the file cannot be read, is too big, is not valid YAML, or does not hold a mapping.
    """
    source = str(path)
    try:
        with path.open("rb") as stream:
            content = stream.read(MAXIMUM_BYTES + 1)
        text = content.decode("utf-8")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", source=source) from error
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8 text", source=source) from error
    if len(content) > MAXIMUM_BYTES:
        raise InputError(f"is bigger than {MAXIMUM_BYTES // 1024} KiB", source=source)
    return parse_yaml(text, source)


def parse_yaml(text: str, source: str) -> dict[str, Any]:
    """The mapping that YAML text holds; `source` names it in errors. Raises InputError as `read_yaml` does."""
    try:
        value = yaml.load(text, Loader=_Loader)
    except InputError as error:
        raise error.located(source) from None
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"is not valid YAML ({error.problem or error.context})", line, source=source) from error
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        # PyYAML's own constructors raise such errors for values that do not fit their tags.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"is not valid YAML ({reason})", source=source) from error
    if value is None:
        raise InputError("is empty", expected="a mapping of fields", source=source)
    if not isinstance(value, dict):
        raise InputError(f"holds a {type(value).__name__}", expected="a mapping of fields", source=source)
    _refuse_explosion(value, source)
    return value


def _refuse_explosion(value: Any, source: str) -> None:
    """Aliases can make a short text expand endlessly: count the values of the expansion, up to a bound."""
    pending, count = [value], 0
    while pending:
        count += 1
        if count > MAXIMUM_VALUES:
            raise InputError(f"holds more than {MAXIMUM_VALUES} values", source=source)
        item = pending.pop()
        if isinstance(item, dict):
            pending += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            pending += item

"""The client runs on Python 3.9: its syntax, and what it uses of the standard library."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

CLIENT = Path(__file__).parents[2] / "client"
SOURCES = sorted((CLIENT / "src").rglob("*.py"))

LATER = {
    "enum.StrEnum": (3, 11),
    "typing.Self": (3, 11),
    "typing.assert_never": (3, 11),
    "typing.Never": (3, 11),
    "typing.LiteralString": (3, 11),
    "typing.Unpack": (3, 11),
    "typing.NotRequired": (3, 11),
    "typing.Required": (3, 11),
    "typing.reveal_type": (3, 11),
    "typing.TypeAlias": (3, 10),
    "typing.ParamSpec": (3, 10),
    "typing.Concatenate": (3, 10),
    "typing.TypeGuard": (3, 10),
    "typing.override": (3, 12),
    "types.NoneType": (3, 10),
    "types.UnionType": (3, 10),
    "types.EllipsisType": (3, 10),
    "itertools.pairwise": (3, 10),
    "itertools.batched": (3, 12),
    "contextlib.aclosing": (3, 10),
    "contextlib.chdir": (3, 11),
    "datetime.UTC": (3, 11),
    "asyncio.timeout": (3, 11),
    "asyncio.TaskGroup": (3, 11),
    "asyncio.Runner": (3, 11),
    "tomllib": (3, 11),
}
LATER_KEYWORDS = {"dataclass": {"slots", "kw_only", "match_args"}, "field": {"kw_only"}, "zip": {"strict"}}
LATER_BUILTINS = {"aiter", "anext", "ExceptionGroup", "BaseExceptionGroup"}


def too_new(source: str) -> list[str]:
    """What Python 3.9 cannot parse or does not have."""
    try:
        tree = ast.parse(source, feature_version=(3, 9))
    except SyntaxError as error:
        return [f"line {error.lineno}: {error.msg}"]
    return sorted(f"line {line}: {what}" for line, what in {*_names(tree), *_keywords(tree), *_unions(tree)})


def _names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
            yield from ((node.lineno, name) for name in names & LATER.keys())
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name in LATER)
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in LATER:
            yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Name) and node.id in LATER_BUILTINS:
            yield node.lineno, node.id
        elif isinstance(node, (ast.With, ast.AsyncWith)) and len(node.items) > 1:
            yield node.lineno, "several managers in one with: in brackets they need 3.10"


def _keywords(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func).rpartition(".")[2]
            for keyword in node.keywords:
                if keyword.arg in LATER_KEYWORDS.get(called, ()):
                    yield node.lineno, f"{called}({keyword.arg}=...)"


def _unions(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """``X | Y`` of types is computed outside of annotations; without the future import annotations are, too."""
    lazy = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)
    annotations = set()
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            part = getattr(node, name, None)
            if isinstance(part, ast.AST):
                annotations |= {id(inner) for inner in ast.walk(part)}
    types = {"str", "int", "float", "bool", "bytes", "dict", "list", "tuple", "set"}
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and not (lazy and id(node) in annotations):
            sides = {ast.unparse(node.left).partition("[")[0], ast.unparse(node.right).partition("[")[0]}
            if "None" in sides or sides & types:
                yield node.lineno, f"{ast.unparse(node)} where it is computed"


def test_the_sources_exist() -> None:
    assert {path.name for path in SOURCES} >= {"__init__.py", "client.py", "async_client.py", "protocol.py"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_python_39_can_run_it(path: Path) -> None:
    assert too_new(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "match x:\n    case 1: pass",
        "from enum import StrEnum",
        "import asyncio\nasyncio.timeout(1)",
        "@dataclass(frozen=True, slots=True)\nclass A: pass",
        "zip(a, b, strict=True)",
        "Feature = float | str",
        "def f(x: int | None): pass",
        "try:\n    pass\nexcept* ValueError:\n    pass",
        "with (open(a) as x, open(b) as y): pass",
        "import tomllib",
    ],
)
def test_newer_syntax_is_reported(source: str) -> None:
    assert len(too_new(source)) == 1


def test_annotations_may_be_new() -> None:
    assert too_new("from __future__ import annotations\ndef f(x: int | None) -> list[str]: ...") == []


def test_it_imports_httpx_and_the_standard_library_only() -> None:
    imported = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
    assert imported - set(sys.stdlib_module_names) == {"httpx", "proctor_client"}


def test_the_distribution_says_so_too() -> None:
    project = tomllib.loads((CLIENT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.9"
    assert [entry.partition(">")[0] for entry in project["dependencies"]] == ["httpx"]
    assert "Private :: Do Not Upload" in project["classifiers"]

"""Names say what they hold: no empty variable names, one class for each name."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("serve_app", "orchestration", "mutations", "agents", "envsearch")

# -- variables --

FOLDERS = (*PACKAGES, "client", "benchmarks", "tests")
"""Where the names of variables are checked."""

EMPTY_NAMES = {"told", "one", "found", "given", "thing", "stuff", "it"}
"""They do not say what they hold: `response`, `rows`, `missing`, `matches` do."""


def bound_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, name) of every variable, parameter, loop target, attribute, field, alias and captured pattern."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield node.lineno, name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield node.lineno, name
            case ast.alias(asname=str(name)) | ast.MatchMapping(rest=str(name)):
                yield node.lineno, name


def empty_names(root: Path, folders: tuple[str, ...] = FOLDERS) -> list[str]:
    return [
        f"{path.relative_to(root)}:{line}: {name}"
        for folder in folders
        for path in sorted((root / folder).rglob("*.py"))
        for line, name in bound_names(ast.parse(path.read_text(encoding="utf-8")))
        if name in EMPTY_NAMES
    ]


def test_names_of_variables_say_what_they_hold() -> None:
    assert empty_names(ROOT) == []


@pytest.mark.parametrize(
    "source",
    [
        "one = 1",
        "one: int = 1",
        "first, (one, *rest) = values",
        "for one in values: pass",
        "print([one for one in values])",
        "if (one := value): pass",
        "with open(path) as one: pass",
        "def f(one): ...",
        "def f(*, one=1): ...",
        "def f(*one): ...",
        "f = lambda one: 1",
        "class A:\n    one: int",
        "class A:\n    def f(self):\n        self.one = 1",
        "import numpy as one",
        "try: pass\nexcept ValueError as one: pass",
        "match value:\n    case {'a': one}: pass",
        "match value:\n    case [*one]: pass",
        "match value:\n    case {**one}: pass",
    ],
)
def test_empty_name_is_found(source: str, tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "a.py").write_text(source, encoding="utf-8")
    assert len(empty_names(tmp_path, ("agents",))) == 1


@pytest.mark.parametrize(
    "source", ["print(one)", "value.one", "f(one=1)", "def one(): ...", "# one\n'told'", "ones = 1"]
)
def test_uses_and_other_names_are_allowed(source: str, tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "a.py").write_text(source, encoding="utf-8")
    assert empty_names(tmp_path, ("agents",)) == []


# -- classes --


def shared_class_names(root: Path) -> list[str]:
    """Public classes that have their name in common with a class of another module."""
    modules = defaultdict(list)
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    modules[node.name].append(path.relative_to(root).as_posix())
    return [f"{name}: {', '.join(places)}" for name, places in sorted(modules.items()) if len(places) > 1]


def test_each_class_has_a_name_of_its_own() -> None:
    assert shared_class_names(ROOT) == []


def test_shared_class_name_is_found(tmp_path: Path) -> None:
    for package in ("agents", "serve_app"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "a.py").write_text("class Call: ...\nclass _Inner: ...\n", encoding="utf-8")
    (tmp_path / "agents" / "b.py").write_text("class Other:\n    class Call: ...\n", encoding="utf-8")
    assert shared_class_names(tmp_path) == ["Call: serve_app/a.py, agents/a.py"]

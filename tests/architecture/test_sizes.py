"""Files and functions stay short."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("serve_app", "orchestration", "mutations", "agents", "envsearch")
MEASURED = (*PACKAGES, "client/src", "benchmarks")
LONGEST_FILE = 400
MEDIAN_FUNCTION, LONG_FUNCTION = 8, 20
"""At most this many lines in half of all functions, and in nine of ten."""


def sources(root: Path, folders: tuple[str, ...]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((root / folder).rglob("*.py"))


def long_files(root: Path) -> list[str]:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources(root, MEASURED)}
    return [f"{path.relative_to(root)}: {n} lines" for path, n in lengths.items() if n > LONGEST_FILE]


def test_no_long_files() -> None:
    assert long_files(ROOT) == []


def test_long_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "a.py").write_text("pass\n" * (LONGEST_FILE + 1), encoding="utf-8")
    assert long_files(tmp_path) == [f"agents/a.py: {LONGEST_FILE + 1} lines"]


def function_lengths(root: Path) -> list[int]:
    """Lines of each function in the packages, signature and docstring included, in ascending order."""
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in sources(root, PACKAGES))
    functions = (
        node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return sorted((node.end_lineno or node.lineno) - node.lineno + 1 for node in functions)


def quantile(lengths: list[int], share: float) -> int:
    return lengths[math.ceil(share * len(lengths)) - 1]


def test_functions_are_short() -> None:
    lengths = function_lengths(ROOT)
    assert quantile(lengths, 0.5) <= MEDIAN_FUNCTION
    assert quantile(lengths, 0.9) <= LONG_FUNCTION


def test_lengths_of_functions(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    source = "def a():\n    pass\n\nclass B:\n    async def b(self):\n        def c(): ...\n        return c\n"
    (tmp_path / "agents" / "a.py").write_text(source, encoding="utf-8")
    assert function_lengths(tmp_path) == [1, 2, 3]
    assert [quantile([1, 2, 3, 4], share) for share in (0.5, 0.9)] == [2, 4]

"""Small rules of the house: random numbers and the names of files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("serve_app", "orchestration", "mutations", "agents", "envsearch")

SEED_GLOBALS = (
    *("agents/library_randomness.py", "agents/scheduling/kinds/isolated_random.py"),
    "agents/scheduling/clauses.py",  # checks that they are left alone
)
"""Stable-Baselines3 draws from the global generators. Here, and only here, they are lent to it and put back."""

LOCAL = {"Generator", "default_rng", "SeedSequence", "BitGenerator", "PCG64", "Philox", "SFC64"}
"""The names of numpy.random that hold no global state."""

TORCH_GLOBAL = {"manual_seed", "seed", "set_rng_state"}


def sources(root: Path, folders: tuple[str, ...] = PACKAGES) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((root / folder).rglob("*.py"))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


# -- random numbers --


def global_random(root: Path) -> list[str]:
    """Uses of the global generators of numpy, torch and Python."""
    uses = []
    for path in sources(root, (*PACKAGES, "benchmarks")):
        place = path.relative_to(root).as_posix()
        if not place.startswith(SEED_GLOBALS):
            uses += [f"{place}:{line}: {text}" for line, text in _global_random_in(parsed(path))]
    return uses


def _global_random_in(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value)
            if owner in ("np.random", "numpy.random") and node.attr not in LOCAL:
                yield node.lineno, ast.unparse(node)
            if owner == "torch" and node.attr in TORCH_GLOBAL:
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = {alias.name for alias in node.names}
            if (node.module == "numpy.random" and names - LOCAL) or node.module == "random":
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Import) and "random" in {alias.name for alias in node.names}:
            yield node.lineno, ast.unparse(node)


def test_no_global_random_state() -> None:
    assert global_random(ROOT) == []


@pytest.mark.parametrize(
    "source",
    [
        "np.random.seed(1)",
        "x = numpy.random.rand(3)",
        "rng = np.random.RandomState(1)",
        "from numpy.random import normal",
        "import random",
        "from random import choice",
        "torch.manual_seed(0)",
    ],
)
def test_global_random_state_is_found(source: str, tmp_path: Path) -> None:
    (tmp_path / "mutations").mkdir()
    (tmp_path / "mutations" / "a.py").write_text(source, encoding="utf-8")
    assert len(global_random(tmp_path)) == 1
    exception = tmp_path / SEED_GLOBALS[0]
    exception.mkdir(parents=True)
    (tmp_path / "mutations" / "a.py").rename(exception / "a.py")
    assert global_random(tmp_path) == []


def test_generators_are_allowed(tmp_path: Path) -> None:
    (tmp_path / "mutations").mkdir()
    source = "from numpy.random import Generator\nimport mutations.operators.random\nrng = np.random.default_rng(1)\n"
    (tmp_path / "mutations" / "a.py").write_text(source, encoding="utf-8")
    assert global_random(tmp_path) == []


# -- names of files --


def bad_names(root: Path) -> list[str]:
    """`utils.py`, inner folders with a top-level name, packages under tests."""
    names = []
    for path in sources(root):
        place = path.relative_to(root)
        if path.stem in ("utils", "util", "helpers"):
            names.append(f"{place}: the name does not say what the file holds")
        if any(part in PACKAGES for part in place.parts[1:-1]):
            names.append(f"{place}: an inner folder carries a top-level name")
    names += [f"{p.relative_to(root)}: no package under tests" for p in sorted((root / "tests").rglob("__init__.py"))]
    return names


def test_names() -> None:
    assert bad_names(ROOT) == []


@pytest.mark.parametrize(
    "path", ["agents/utils.py", "mutations/deep/util.py", "orchestration/agents/a.py", "tests/agents/__init__.py"]
)
def test_bad_name_is_found(path: str, tmp_path: Path) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text("", encoding="utf-8")
    assert len(bad_names(tmp_path)) == 1

"""Small rules of the house: names, sizes, packaging, random numbers."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("serve_app", "orchestration", "mutations", "agents", "envsearch")
LONGEST_FILE = 400

SEED_GLOBALS = (
    *("agents/library_randomness.py", "agents/scheduling/kinds/isolated_random.py"),
    "agents/scheduling/clauses.py",  # checks that they are left alone
)
"""Stable-Baselines3 draws from the global generators. Here, and only here, they are lent to it and put back."""

LOCAL = {"Generator", "default_rng", "SeedSequence", "BitGenerator", "PCG64", "Philox", "SFC64"}
"""What numpy.random offers that is no global state."""

TORCH_GLOBAL = {"manual_seed", "seed", "set_rng_state"}


def sources(root: Path, folders: tuple[str, ...] = PACKAGES) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((root / folder).rglob("*.py"))


# -- random numbers --


def global_random(root: Path) -> list[str]:
    """Uses of the global generators of numpy, torch and Python."""
    found = []
    for path in sources(root, (*PACKAGES, "benchmarks")):
        place = path.relative_to(root).as_posix()
        if not place.startswith(SEED_GLOBALS):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found += [f"{place}:{line}: {text}" for line, text in _global_random_in(tree)]
    return found


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


# -- names and sizes --


def bad_names(root: Path) -> list[str]:
    """`utils.py`, inner folders with a top-level name, packages under tests."""
    found = []
    for path in sources(root):
        place = path.relative_to(root)
        if path.stem in ("utils", "util", "helpers"):
            found.append(f"{place}: say what is in it")
        if any(part in PACKAGES for part in place.parts[1:-1]):
            found.append(f"{place}: an inner folder carries a top-level name")
    found += [f"{p.relative_to(root)}: no package under tests" for p in sorted((root / "tests").rglob("__init__.py"))]
    return found


def test_names() -> None:
    assert bad_names(ROOT) == []


@pytest.mark.parametrize(
    "path", ["agents/utils.py", "mutations/deep/util.py", "orchestration/agents/a.py", "tests/agents/__init__.py"]
)
def test_bad_name_is_found(path: str, tmp_path: Path) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text("", encoding="utf-8")
    assert len(bad_names(tmp_path)) == 1


def long_files(root: Path) -> list[str]:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources(root)}
    return [f"{path.relative_to(root)}: {n} lines" for path, n in lengths.items() if n > LONGEST_FILE]


def test_no_long_files() -> None:
    assert long_files(ROOT) == []


def test_long_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "a.py").write_text("pass\n" * (LONGEST_FILE + 1), encoding="utf-8")
    assert long_files(tmp_path) == [f"agents/a.py: {LONGEST_FILE + 1} lines"]


# -- packaging --


def packaging_problems(text: str) -> list[str]:
    project = tomllib.loads(text)
    include = project["tool"]["setuptools"]["packages"]["find"]["include"]
    problems = [
        f"{entry!r} takes in more than a package"
        for entry in include
        if entry.rstrip("*")[-1:] not in ("", ".") and entry.endswith("*")
    ]
    problems += [
        f"{entry!r} is not included" for name in PACKAGES for entry in (name, f"{name}.*") if entry not in include
    ]
    if "Private :: Do Not Upload" not in project["project"]["classifiers"]:
        problems.append("the classifier that keeps it off package indexes is missing")
    return problems


def test_packaging() -> None:
    assert packaging_problems((ROOT / "pyproject.toml").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"agents", "agents.*",', '"agents*",'),
        ('"mutations", "mutations.*",', '"mutations",'),
        ('"Private :: Do Not Upload",', ""),
    ],
)
def test_packaging_problem_is_found(old: str, new: str) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert old in text
    assert packaging_problems(text.replace(old, new))

"""Who may import whom. The source is read, not imported, so that imports inside functions count too."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ORDER = ("serve_app", "orchestration", "mutations", "agents", "envsearch")
"""A package imports only the packages to its right."""

ROOMS: dict[str, tuple[str, ...]] = {
    "cli": ("studies", "campaign", "service", "execution", "runtime"),
    "studies": ("campaign", "service", "execution", "runtime"),
    "campaign": ("execution", "runtime"),
    "service": ("runtime",),
    "execution": ("runtime",),
    "runtime": (),
}
"""Room of `orchestration` -> the other rooms that it may import."""

OUTER = ("serve_app", "orchestration")
OUTER_ONLY = (
    *("ray", "mlflow"),
    *("sqlalchemy", "alembic", "sqlite3", "psycopg", "psycopg2"),
    *("fastapi", "starlette", "uvicorn", "httpx", "requests", "aiohttp", "flask", "urllib3"),
    *("http.client", "http.server", "urllib.request", "socketserver"),
)
"""Only the two outer packages use Ray, MLflow, SQL and HTTP."""

LEARNING = ("torch", "stable_baselines3", "jax", "jaxlib", "flax", "optax")
NOT_IN = {"mutations": LEARNING, "envsearch": LEARNING, "serve_app": ("pydantic", "fastapi")}
"""Package -> libraries that it does without.

Faults and environments are described without training anything; the bodies of calls are the structs of the service.
"""

DYNAMIC_PATH = re.compile(rf"({'|'.join(ORDER)})(\.\w+)+(:[\w.]+)?")
"""A text that is the name of a module or object of the project: tables name what they import late."""


STARTED_BY_NAME = {("orchestration/runtime/serve.py", "serve_app.app")}
"""Modules that a command passes to Ray Serve by name; Ray Serve imports them in its own processes."""


def imported_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, module) of every absolute import, and of every text that is the name of a module of the project."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and DYNAMIC_PATH.fullmatch(node.value):
            yield node.lineno, node.value.partition(":")[0]


def is_in(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def forbidden(package: str, name: str) -> str | None:
    """Why a package must not import a name, or None."""
    top = name.partition(".")[0]
    if top in ORDER and ORDER.index(top) < ORDER.index(package):
        return f"{package} must not import {top}, which is to its left"
    if package not in OUTER and any(is_in(name, module) for module in OUTER_ONLY):
        return f"only {' and '.join(OUTER)} may import {name}"
    if top in NOT_IN.get(package, ()):
        return f"{package} must not import {top}"
    return None


def forbidden_room(path: str, name: str) -> str | None:
    """Why a file of one room of `orchestration` must not import a name of another, or None."""
    parts, wanted = path.split("/"), name.split(".")
    if parts[0] != "orchestration" or wanted[0] != "orchestration" or len(wanted) < 2 or parts[1] not in ROOMS:
        return None
    room, other = parts[1], wanted[1]
    if other == room or other not in ROOMS or other in ROOMS[room]:
        return None
    return f"orchestration.{room} must not import orchestration.{other}"


def violations(root: Path) -> list[str]:
    lines = []
    for package in ORDER:
        for path in sorted((root / package).rglob("*.py")):
            for line, name in imported_names(ast.parse(path.read_text(encoding="utf-8"))):
                place = path.relative_to(root).as_posix()
                reason = forbidden(package, name) or forbidden_room(place, name)
                if reason is not None and (place, name) not in STARTED_BY_NAME:
                    lines.append(f"{place}:{line}: {reason}")
    return sorted(set(lines))


def test_imports_point_one_way() -> None:
    assert violations(ROOT) == []


def test_orchestration_is_its_rooms() -> None:
    """Every room has a door, and there are no loose files."""
    inside = {path.name for path in (ROOT / "orchestration").iterdir() if path.name != "__pycache__"}
    assert inside == {*ROOMS, "__init__.py", "__main__.py"}
    assert [room for room in ROOMS if not (ROOT / "orchestration" / room / "__init__.py").exists()] == []


def test_all_packages_are_there() -> None:
    assert [package for package in ORDER if not (ROOT / package / "__init__.py").exists()] == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("envsearch/a.py", "import agents.deeprl"),
        ("envsearch/a.py", "from mutations import mutant"),
        ("agents/inner/a.py", "def late():\n    from mutations.mutant import Mutant"),
        ("mutations/a.py", "if TYPE_CHECKING:\n    from orchestration.execution.work import AgentKey"),
        ("orchestration/a.py", "import serve_app"),
        ("orchestration/service/a.py", "from orchestration.execution.work import AgentKey"),
        ("orchestration/service/a.py", "def late():\n    from orchestration.campaign import result"),
        ("orchestration/campaign/inner/a.py", "import orchestration.service.tokens"),
        ("orchestration/runtime/a.py", "TABLE = {'x': ('orchestration.execution.tasks', 'run_block')}"),
        ("mutations/a.py", "TABLE = {'x': ('orchestration.execution.tasks', 'run_block')}"),
        ("agents/a.py", "ENGINE = 'orchestration.execution.tasks:run_block'"),
        ("agents/a.py", "import ray"),
        ("mutations/a.py", "from ray.util import queue"),
        ("agents/a.py", "import sqlite3"),
        ("envsearch/a.py", "from urllib import request"),
        ("envsearch/a.py", "import http.server"),
        ("mutations/a.py", "def late():\n    import torch"),
        ("envsearch/a.py", "from stable_baselines3 import PPO"),
        ("serve_app/a.py", "from pydantic import BaseModel"),
        ("serve_app/a.py", "import fastapi"),
    ],
)
def test_violation_is_found(path: str, source: str, tmp_path: Path) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(source, encoding="utf-8")
    (line,) = {violation.rpartition(":")[0] for violation in violations(tmp_path)}
    assert line.startswith(path)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("serve_app/a.py", "import ray, starlette, orchestration.execution.work, mutations, agents, envsearch"),
        ("orchestration/studies/a.py", "import orchestration.service.service, orchestration.campaign.result"),
        (
            "orchestration/service/a.py",
            "from orchestration.runtime import logs\nfrom orchestration.service import tokens",
        ),
        ("orchestration/a.py", "import mlflow, sqlite3, torch\nfrom mutations import mutant"),
        ("mutations/a.py", "import numpy, scipy, pandas, pydantic\nfrom agents.deeprl.recipe import TrainingRecipe"),
        ("agents/a.py", "import torch\nfrom envsearch.spec import EnvironmentSpec\nfrom . import b"),
        ("agents/a.py", "import requests_mock_of_mine, rayleigh"),
        ("envsearch/a.py", '"""Says that orchestration.execution.work exists."""'),
    ],
)
def test_what_is_allowed_is_not_found(path: str, source: str, tmp_path: Path) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(source, encoding="utf-8")
    assert violations(tmp_path) == []

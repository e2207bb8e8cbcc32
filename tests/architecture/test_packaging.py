"""What is installed: the packages, the extras, the locks and the licences that come with them."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("serve_app", "orchestration", "mutations", "agents", "envsearch")
LOCKS = ("requirements.lock", "requirements-dev.lock")
PIN = re.compile(r"([A-Za-z0-9._-]+)==([^\s;]+)")
NOT_IN_CORE = {
    *("ray", "torch", "jax", "mlflow", "stable-baselines3", "gymnasium", "scipy", "pandas"),
    *("starlette", "httpx", "pydantic"),
}


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions(requirements: list[str]) -> set[str]:
    """The names in a list of requirements, without extras and versions."""
    return {canonical(re.split(r"[^A-Za-z0-9._-]", text)[0]) for text in requirements}


# -- packages --


def packaging_problems(text: str) -> list[str]:
    toml = tomllib.loads(text)
    include = toml["tool"]["setuptools"]["packages"]["find"]["include"]
    problems = [
        f"{entry!r} includes more than a package"
        for entry in include
        if entry.rstrip("*")[-1:] not in ("", ".") and entry.endswith("*")
    ]
    problems += [
        f"{entry!r} is not included" for name in PACKAGES for entry in (name, f"{name}.*") if entry not in include
    ]
    if "Private :: Do Not Upload" not in toml["project"]["classifiers"]:
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


# -- extras --


def test_the_core_is_light() -> None:
    assert distributions(project()["project"]["dependencies"]) & NOT_IN_CORE == set()


def test_all_has_every_extra_but_the_tools_of_developers() -> None:
    extras = project()["project"]["optional-dependencies"]
    reached, pending = set(), ["all"]
    while pending:
        extra = pending.pop()
        reached.add(extra)
        own = [text.partition("[")[2].rstrip("]") for text in extras[extra] if text.startswith("proctor[")]
        pending += [name for names in own for name in names.split(",") if name not in reached]
    assert reached == set(extras) - {"dev"}


# -- locks --


@cache
def locked(lock: str) -> dict[str, str]:
    """Package -> version of a lock."""
    lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    return {canonical(pin[1]): pin[2] for pin in map(PIN.match, lines) if pin}


def lock_problems(text: str) -> list[str]:
    """Pins without hashes, packages of one machine, and addresses."""
    problems = []
    for entry in re.split(r"\n(?=[^\s#])", text.strip()):
        name = entry.split()[0]
        if not PIN.fullmatch(name):
            problems.append(f"{name}: no version is pinned")
        if "--hash=sha256:" not in entry:
            problems.append(f"{name}: no hash")
        if name.startswith(("torch==", "nvidia-", "triton")) or "+" in name:
            problems.append(f"{name}: differs from machine to machine")
        if "://" in entry or re.search(r"(^|\s)--(index|find|extra|trusted)", entry):
            problems.append(f"{name}: an address")
    return problems


@pytest.mark.parametrize("lock", LOCKS)
def test_lock(lock: str) -> None:
    assert lock_problems((ROOT / lock).read_text(encoding="utf-8")) == []


HASH = " \\\n    --hash=sha256:00\n    # via proctor\n"


@pytest.mark.parametrize(
    "entry",
    [
        "a==1\n    # via proctor\n",
        f"a>=1{HASH}",
        f"torch==2.13.0{HASH}",
        f"nvidia-cublas-cu12==12.8{HASH}",
        f"a==1+cpu{HASH}",
        f"proctor @ file:///home{HASH}",
        f"--find-links wheels{HASH}",
    ],
)
def test_lock_problem_is_found(entry: str) -> None:
    assert lock_problems(f"first==1{HASH}last==1.2.post1{HASH}") == []
    assert lock_problems(f"first==1{HASH}{entry}last==1{HASH}")


def test_the_locks_agree() -> None:
    run, dev = map(locked, LOCKS)
    assert {name: version for name, version in dev.items() if run.get(name, version) != version} == {}


def test_the_locks_have_every_dependency() -> None:
    extras = dict(project()["project"]["optional-dependencies"])
    dev = distributions(extras.pop("dev"))
    run = distributions([*project()["project"]["dependencies"], *(text for texts in extras.values() for text in texts)])
    assert run - {"proctor"} - {*locked("requirements.lock"), *locked("requirements-torch.txt")} == set()
    assert dev - set(locked("requirements-dev.lock")) == set()


# -- licences --


def has_binary_parts(distribution: importlib.metadata.Distribution) -> bool:
    return "Root-Is-Purelib: true" not in (distribution.read_text("WHEEL") or "")


def test_notice_names_every_package_with_binary_parts() -> None:
    binary = set()
    for name in (*locked("requirements.lock"), *locked("requirements-torch.txt")):
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # not for this platform
        if has_binary_parts(distribution):
            binary.add(name)
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    listed = set(re.findall(r"^    ([a-z0-9-]+) {2,}\S", notice, re.MULTILINE))
    assert {"torch", "numpy"} < binary
    assert binary - listed == set()
    assert listed - {*locked("requirements.lock"), *locked("requirements-torch.txt")} == set()


# -- software bill of materials --


def test_the_bill_of_materials_has_every_package_of_the_lock_with_its_hashes(tmp_path: Path) -> None:
    """The command of `make sbom`."""
    command = next(
        line for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines() if "-o sbom/run" in line
    )
    arguments = command.replace("sbom/run.cdx.json", str(tmp_path / "run.json")).split()[1:]
    subprocess.run([Path(sys.executable).parent / "cyclonedx-py", *arguments], cwd=ROOT, check=True)
    bill = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert {canonical(each["name"]): each["version"] for each in bill["components"]} == locked("requirements.lock")
    assert all(each["externalReferences"][0]["hashes"] for each in bill["components"])
    assert bill["metadata"]["component"]["name"] == "proctor"


def test_the_citation_has_the_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [project()["project"]["version"]]

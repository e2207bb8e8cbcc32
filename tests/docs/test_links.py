"""Links between pages lead somewhere, and the files that pages name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "client/README.md", "docs/**/*.md")
PACKAGES = ("serve_app", "orchestration", "mutations", "agents", "envsearch", "client", "benchmarks", "tests", "deploy")

UNWRITTEN = frozenset({"serve_app/ui"})
"""Places that a page names as not existing yet."""

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(rf"(?:{'|'.join(PACKAGES)})/[A-Za-z0-9_./*{{}},-]*")
HEADING = re.compile(r"^#+ +(.+?)\s*$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def pages(root: Path) -> list[Path]:
    return sorted({path for pattern in PAGES for path in root.glob(pattern)})


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    titles = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower() for title in titles]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain}


def broken_links(root: Path) -> list[str]:
    broken = []
    for page in pages(root):
        for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
            if "://" in target or target.startswith("mailto:"):
                continue
            file, _, anchor = target.partition("#")
            destination = (page.parent / file).resolve() if file else page
            place = f"{page.relative_to(root)}: {target}"
            if not destination.exists():
                broken.append(f"{place}: no such file")
            elif anchor and anchor not in anchors(destination):
                broken.append(f"{place}: no such heading")
    return broken


def missing_paths(root: Path) -> list[str]:
    """Paths in backticks that match no file of the project. ``{a,b}`` and ``*`` are expanded."""
    missing = []
    for page in pages(root):
        for code in CODE.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
            if PATH.fullmatch(code) and code.rstrip("/") not in UNWRITTEN:
                missing += [f"{page.relative_to(root)}: {path}" for path in expanded(code) if not any(root.glob(path))]
    return missing


def expanded(path: str) -> list[str]:
    braces = re.search(r"\{([^{}]*)\}", path)
    if braces is None:
        return [path.rstrip("/")]
    before, after = path[: braces.start()], path[braces.end() :]
    return [result for choice in braces[1].split(",") for result in expanded(before + choice + after)]


def test_links() -> None:
    assert broken_links(ROOT) == []


def test_paths() -> None:
    assert missing_paths(ROOT) == []


def test_unwritten_places_do_not_exist() -> None:
    assert [path for path in UNWRITTEN if (ROOT / path).exists()] == []


def test_every_page_is_checked() -> None:
    assert {"README.md", "docs/glossary.md", "docs/decisions/README.md"} <= {
        page.relative_to(ROOT).as_posix() for page in pages(ROOT)
    }


@pytest.mark.parametrize("target", ["other.md", "page.md#second", "#second", "../docs/gone.md", "../elsewhere/"])
def test_broken_link_is_found(target: str, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text(
        f"# First, `part`\n\n```\n# second\n```\n[x]({target})\n", encoding="utf-8"
    )
    assert len(broken_links(tmp_path)) == 1


def test_good_links(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    text = "# First, `part`\n[a](page.md#first-part) [b](#first-part) [c](../README.md) [d](https://example.org/x)\n"
    (tmp_path / "docs" / "page.md").write_text(text, encoding="utf-8")
    (tmp_path / "README.md").write_text("", encoding="utf-8")
    assert broken_links(tmp_path) == []


@pytest.mark.parametrize(
    ("code", "count"),
    [("agents/a.py", 0), ("agents/b.py", 1), ("agents/{a,b}.py", 1), ("agents/*.py", 0), ("agents/", 0), ("a/b", 0)],
)
def test_missing_path_is_found(code: str, count: int, tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "a.py").write_text("", encoding="utf-8")
    (tmp_path / "README.md").write_text(f"See `{code}`.", encoding="utf-8")
    assert len(missing_paths(tmp_path)) == count

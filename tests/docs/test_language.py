"""Pages, docstrings, comments and messages avoid a short list of phrases that no native speaker would write."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("*.md", "client/*.md", "docs/**/*.md", "results/**/*.md")
CONFIGURATION = ("cluster.yaml", "serve_app/*.yaml", "deploy/*.yaml", "deploy/Dockerfile")
FOLDERS = ("serve_app", "orchestration", "mutations", "agents", "envsearch", "client", "benchmarks")
"""Folders of Python sources whose comments and string literals are read as well."""

ODD: dict[str, str] = {
    r"(?<!\bthere\s)\b(is|are|was|were) no (?!longer|more|less|later|earlier|better|worse)": "is not a",
    r"\b(is|are|was|were|be|been|as) told\b(?! apart)": "reported, named, shown",
    r"\btells? (it|them|him) (of|in|at|to)\b|\btells (of|in|all|so)\b": "reports",
    r"\bstands? (twice|beside|there|here|just|in (the|its|a|this|that|one|front))\b": "appears twice, is in",
    r"\b(came|comes?|become) of (it|them|this)\b": "the outcome, the result",
    r"\b(ends?|is there|are there|be there) already\b": "has already expired, already exists",
    r"\b(hands?|handed|handing) on\b": "passes on",
    r"\bone's own\b": "your own, custom",
    r"\b(lets?|letting) (go|it go|them go)\b|\blet go of\b": "close, release",
    r"\b(is|are|was|were|be) asked\b|\basked (for|about|of)\b": "requested, queried",
    r"\bhears? of\b|\bheard of\b": "receives, learns about",
    r"\b(is|are|was|were) seen of\b": "name the data",
    r"\b(last words?|a hair)\b": "the technical term",
    r"\banew\b": "again",
    r"\bnothing of (ours|interest)\b": "name the thing",
    r"\bmay not end\b": "must not end",
    r"\bwhat (is|was) (wanted|meant)\b": "name the thing",
    r"\bso (begins|ends|is|are) (it|they|that)\b": "subject first",
    r"\bof (its|their|your|our) own there\b": "separate",
    r"\b(is|are) (there|in there) twice\b": "appears twice",
    r"\bthat nobody\b|\bnobody's\b": "that no caller, no process, no test",
    r"\b(at home|under way|of ours|worked out)\b": "name the place, in progress, Proctor's, computed",
    r"\b(behaves?|answers?) otherwise\b": "differently",
    r"\b(died|dies|ended) just now\b|\bfor ever\b": "has just died, forever",
    r"\b(goes|go|went|going) on with\b": "continues with",
    r"\bpast SQLAlchemy\b": "without SQLAlchemy",
    r"\blets? (\w+ ){1,4}alone\b": "leaves unchanged",
    r"\b(did you mean (it|them) by|knows? more than)\b": "is it meant by, is ahead of",
}
"""Refused phrase -> what to write. "There is no agent 'x'" is fine; "'x' is no agent" is not."""


def odd_phrases(text: str) -> Iterator[tuple[int, str]]:
    """Line and advice for each refused phrase. A phrase may span a line break."""
    flat = re.sub(r"\s*\n[\s#>*]*", lambda gap: " " * len(gap[0]), text)
    for pattern, advice in ODD.items():
        for match in re.finditer(pattern.replace(" ", r"\s+"), flat, re.IGNORECASE):
            yield text.count("\n", 0, match.start()) + 1, f"{match[0]!r}: {advice}"


def words_of(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each comment and string literal of Python source."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def problems(root: Path, folders: tuple[str, ...] = FOLDERS) -> list[str]:
    result = []
    for path in sorted({path for pattern in (*PAGES, *CONFIGURATION) for path in root.glob(pattern)}):
        phrases = odd_phrases(path.read_text(encoding="utf-8"))
        result += [f"{path.relative_to(root)}:{line}: {advice}" for line, advice in phrases]
    for path in sorted(path for folder in folders for path in (root / folder).rglob("*.py")):
        for first, words in words_of(path.read_text(encoding="utf-8")):
            place = f"{path.relative_to(root)}:{first}"
            result += [f"{place}: {advice}" for _, advice in odd_phrases(words)]
    return result


def test_language() -> None:
    assert problems(ROOT) == []


@pytest.mark.parametrize(
    "text",
    [
        "The body is no JSON.",
        "the user is told\nwhy",
        "'x' stands twice",
        "what came of it",
        "the token ends already",
        "it is there already",
        "is handed on",
        "trains this agent anew",
        "as it was asked for",
        "a seed is there twice",
        "the same store goes on with the next",
        "the environment behaves otherwise",
    ],
)
def test_odd_phrase_is_found(text: str, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text(text, encoding="utf-8")
    assert len(problems(tmp_path)) == 1
    (tmp_path / "docs" / "page.md").unlink()
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "a.py").write_text(f"X = {text!r}\n# {text!r}\n", encoding="utf-8")
    assert len(problems(tmp_path, ("agents",))) == 2


@pytest.mark.parametrize(
    "text",
    ["There is no agent 'x'.", "It is no longer there.", "Two engines cannot be told apart.", "NDF stands for it"],
)
def test_plain_english_passes(text: str) -> None:
    assert list(odd_phrases(text)) == []

"""The campaign's report: one self-contained HTML page, and its tables as CSV and JSON files next to it."""

from __future__ import annotations

import os
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from orchestration.campaign.report.tables import TABLES
from orchestration.campaign.report.view import page_view
from orchestration.campaign.result import CampaignResult

TEMPLATES = Path(__file__).parent / "templates"

PAGE = "report.html"


def write_report(result: CampaignResult, folder: Path) -> Path:
    """Write ``report.html`` and every table as CSV and JSON into a folder, which is created if necessary.

    Everything is rendered before the first file is written; each file is written under a temporary name and renamed,
    the page last. Equal results give equal bytes.

    Returns:
        The page's path.
    """
    texts: dict[str, str] = {}
    for name, build in TABLES.items():
        table = build(result)
        texts[f"{name}.csv"] = table.csv_text()
        texts[f"{name}.json"] = table.json_text()
    texts[PAGE] = page_html(result)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        _write(folder / name, text)
    return folder / PAGE


def page_html(result: CampaignResult) -> str:
    """The page as text: style and pictures inline, nothing loaded from elsewhere, every name escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(page_view(result))


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

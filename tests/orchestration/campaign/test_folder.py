"""Where campaigns are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.campaign.folder import campaign_home


def test_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROCTOR_HOME", raising=False)
    assert campaign_home() == tmp_path / "proctor-data"
    monkeypatch.setenv("PROCTOR_HOME", "elsewhere")
    assert campaign_home() == tmp_path / "elsewhere"
    assert campaign_home(Path("here")) == tmp_path / "here"

"""Stores that older versions of Proctor wrote, and what shows that nothing in them was changed."""

from __future__ import annotations

import zipfile
from pathlib import Path

STORES = Path(__file__).parent / "stores"
Files = dict[str, tuple[bytes, int, int]]


def unpacked(release: str, home: Path) -> Path:
    """The store of a release, in this folder."""
    with zipfile.ZipFile(STORES / f"{release}.zip") as store:
        store.extractall(home)
    return home


def files_in(home: Path) -> Files:
    """Every file below a folder: content, time of the last change, and which file it is."""
    files = (path for path in sorted(home.rglob("*")) if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in files}

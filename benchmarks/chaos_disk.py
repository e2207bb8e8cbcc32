"""A small disk that can be filled up and made read-only: a tmpfs, where this user may mount one."""

from __future__ import annotations

import contextlib
import errno
import subprocess
from pathlib import Path

MEBIBYTES = 96
BLOCK = bytes(1 << 16)


class SmallDisk:
    """A folder of its own file system.

    Args:
        folder: is made; whatever was mounted there is unmounted by `close`.
        mount: False: an ordinary folder.
    """

    def __init__(self, folder: Path, mount: bool = True) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.mounted = mount and _run("mount", "-t", "tmpfs", "-o", f"size={MEBIBYTES}m", "tmpfs", str(folder))
        self._balloon = folder / ".balloon"
        self._covered = False

    def fill(self) -> None:
        """Write until nothing more can be written."""
        with self._balloon.open("ab", buffering=0) as file:
            block = BLOCK
            while block:
                try:
                    file.write(block)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    block = block[: len(block) // 2]

    def free(self) -> None:
        """Somebody made room."""
        self._balloon.unlink(missing_ok=True)

    def protect(self) -> bool:
        """Make it read-only for everything that opens files from now on; whether that was possible."""
        place = str(self.folder)
        if not self.mounted or not _run("mount", "--bind", place, place):
            return False
        self._covered = True
        return _run("mount", "-o", "remount,bind,ro", place)

    def release(self) -> None:
        """Writable again. Files that were opened meanwhile stay read-only until they are reopened."""
        if self._covered:
            _run("umount", "-l", str(self.folder))
            self._covered = False

    def close(self) -> None:
        """Unmount it."""
        self.release()
        with contextlib.suppress(OSError):
            self.free()
        if self.mounted:
            _run("umount", "-l", str(self.folder))


def _run(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False

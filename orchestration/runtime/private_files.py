"""Files for this user alone: stores, logs, backups and sockets hold the tests of a company and hashes of its tokens."""

from __future__ import annotations

import os
from typing import Final

OTHERS: Final = 0o077
"""The permissions of other users."""


def keep_files_private() -> None:
    """Give other users no permission for what this process and its children create from now on."""
    os.umask(OTHERS)

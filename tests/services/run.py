"""``python -m tests.services.run [options of pytest]``: the tests that need PostgreSQL and S3, on servers of their own.

Both servers are started on the loopback interface, in temporary folders, and ended afterwards. PostgreSQL is installed
where it is missing (Debian, as root); where that is not possible the run fails and says what to do.

Exit code: pytest's, or 3 where a server is missing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.services.servers import UnavailableServerError, postgresql, s3

ROOT = Path(__file__).resolve().parents[2]
TESTS = (
    "tests/services",
    "tests/contracts/test_stores.py",
    "tests/orchestration/runtime/test_artifacts.py",
    "tests/orchestration/service/test_archive.py",
    "tests/orchestration/service/test_archive_retention.py",
    "tests/orchestration/service/test_backup.py",
)
"""The contract of every store, and what only a real server shows."""


def main() -> int:
    """Start the servers, run the tests."""
    try:
        with postgresql() as database, s3() as endpoint:
            settings = {
                **endpoint,
                "PROCTOR_TEST_POSTGRESQL": database.url(),
                "PROCTOR_TEST_S3": endpoint["AWS_ENDPOINT_URL"],
            }
            chosen = () if any(not word.startswith("-") for word in sys.argv[1:]) else TESTS
            command = [sys.executable, "-m", "pytest", *sys.argv[1:], *chosen]
            return subprocess.run(command, cwd=ROOT, env={**os.environ, **settings}, check=False).returncode
    except UnavailableServerError as error:
        print(f"test-services: {error}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())

"""A campaign's own folder ``<home>/campaigns/<run id>``: spec, result, report, log, and a lock while it runs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from envsearch.errors import InputError, StoreUnavailableError
from orchestration.campaign.result import CampaignResult
from orchestration.campaign.result_file import read_result, result_json
from orchestration.runtime.artifacts import refuse_job_folder

if TYPE_CHECKING:  # commands that need no scipy read folders too
    from orchestration.campaign.spec.campaign import ResolvedCampaign

HOME_VARIABLE = "PROCTOR_HOME"
DEFAULT_HOME = "proctor-data"


def campaign_home(requested: Path | None = None) -> Path:
    """The folder of all campaigns: the requested one, else ``PROCTOR_HOME``, else ``./proctor-data``. Absolute.

    Raises:
        InputError: the folder would be removed with the Ray job that runs this process.
    """
    home = Path(requested or os.environ.get(HOME_VARIABLE) or DEFAULT_HOME).expanduser().absolute()
    refuse_job_folder(home, "home")
    return home


class CampaignFolder:
    """The files of one campaign.

    Args:
        home: see `campaign_home`.
        run_id: of the campaign.
    """

    def __init__(self, home: Path, run_id: str) -> None:
        self.home = home
        self.run_id = run_id
        self.path = home / "campaigns" / run_id

    @property
    def report(self) -> Path:
        """Folder of the report."""
        return self.path / "report"

    @property
    def log(self) -> Path:
        """What happened, with dates."""
        return self.path / "log"

    def result(self) -> CampaignResult | None:
        """The result of the last run, or None.

        Raises:
            CorruptArtifactError: result.json cannot be read back.
        """
        path = self.path / "result.json"
        return read_result(path) if path.exists() else None

    def write_spec(self, campaign: ResolvedCampaign) -> None:
        """The canonical resolved spec; the run id is its hash."""
        text = yaml.safe_dump(campaign.canonical(), sort_keys=True, allow_unicode=True)
        write_whole(self.path / "spec.yaml", f"# {campaign.name}, run {campaign.run_id}\n{text}")

    def write_result(self, result: CampaignResult) -> None:
        """What the campaign found."""
        write_whole(self.path / "result.json", result_json(result))

    def append_log(self, text: str) -> None:
        """One entry; a log that cannot be written does not stop the campaign."""
        stamp = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            with self.log.open("a", encoding="utf-8") as stream:
                stream.write(f"{stamp} {text}\n")
        except OSError:
            return

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the campaign: a second run of it in the same home is refused. The lock ends with the process.

        Raises:
            InputError: another process runs this campaign.
            StoreUnavailableError: the folder cannot be created or written.
        """
        path = self.path / "lock"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            problem = f"cannot be written ({error.strerror})"
            raise StoreUnavailableError(problem, "", "a folder that this user may write", str(self.path)) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                owner = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
                problem = f"campaign {self.run_id} is already running (process {owner})"
                raise InputError(problem, source=str(self.path)) from error
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
            yield
        finally:
            os.close(descriptor)


def write_whole(path: Path, text: str) -> None:
    """Write a file completely or not at all.

    Raises:
        StoreUnavailableError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StoreUnavailableError(f"cannot be written ({error.strerror})", source=str(path)) from error

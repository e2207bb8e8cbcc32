"""Long-term storage of old events and episodes: Parquet files in a folder or an object store.

    pandas.read_parquet("archive/executions")      every execution of every agent, one row each
    pandas.read_parquet("archive/episodes")        episodes beyond the retention, one row each, complete

Layout: ``<url>/<table>/agent-<name>/<agent id>-<first>-<last>.parquet``. A file holds a fixed piece of an agent's log,
so writing it twice gives the same file. From version 2 of the format on, the schema's metadata name it
(``proctor_format``).
"""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from envsearch.errors import InputError, StoreUnavailableError
from orchestration.service.store.formats import VERSIONS

EXECUTIONS = "executions"
EPISODES = "episodes"


class Archive:
    """Writes pieces of tables.

    Args:
        url: a folder or any fsspec URL.

    Raises:
        InputError: the URL's protocol is unknown.
    """

    def __init__(self, url: str) -> None:
        local = urlsplit(url).path if url.startswith("file:") else url
        self._root = None if "://" in local else Path(unquote(local)).expanduser().absolute()
        self.url = url.rstrip("/") if self._root is None else str(self._root)
        if self._root is None:
            self._files, self._base = _filesystem(self.url)

    def location(self, table: str, agent: str, agent_id: int, first: int, last: int) -> str:
        """The URL of a piece."""
        return f"{self.url}/{_key(table, agent, agent_id, first, last)}"

    def write(
        self,
        table: str,
        agent: str,
        agent_id: int,
        first: int,
        last: int,
        columns: Mapping[str, tuple[str, Sequence[Any]]],
    ) -> None:
        """Write a piece, complete or not at all.

        Args:
            first, last: the numbers that it covers.
            columns: name -> (Arrow type, values).

        Raises:
            StoreUnavailableError: the piece cannot be written.
        """
        data = _parquet(columns)
        key = _key(table, agent, agent_id, first, last)
        try:
            if self._root is not None:
                _replace(self._root / key, data)
            else:
                self._files.pipe_file(f"{self._base.rstrip('/')}/{key}", data)
        except Exception as error:  # each object store's client has errors of its own
            raise _unavailable("write", f"{self.url}/{key}", error) from error

    def remove(self, agent: str, agent_id: int) -> int:
        """Remove all pieces of an agent, and none of another agent that had or has its name; their number.

        Raises:
            StoreUnavailableError: not all pieces could be removed; the same call goes on.
        """
        count = 0
        try:
            for table in (EXECUTIONS, EPISODES):
                for remove in self._pieces(f"{table}/agent-{agent}", f"{agent_id}-"):
                    remove()
                    count += 1
        except Exception as error:  # each object store's client has errors of its own
            raise _unavailable("remove", f"{self.url}/*/agent-{agent}", error) from error
        return count

    def _pieces(self, folder: str, prefix: str) -> list[Callable[[], None]]:
        """A function for each piece of a folder whose name begins so, which removes it."""
        if self._root is not None:
            return [path.unlink for path in sorted((self._root / folder).glob(f"{prefix}*.parquet"))]
        self._files.invalidate_cache()
        paths = map(str, sorted(self._files.find(f"{self._base.rstrip('/')}/{folder}")))
        return [partial(self._files.rm_file, path) for path in paths if path.rpartition("/")[2].startswith(prefix)]


def _unavailable(verb: str, location: str, error: Exception) -> StoreUnavailableError:
    reason = (error.strerror if isinstance(error, OSError) else None) or f"{type(error).__name__}: {error}"
    return StoreUnavailableError(f"cannot {verb} ({reason})", "", "an archive that this user may write", location)


def _key(table: str, agent: str, agent_id: int, first: int, last: int) -> str:
    # "agent-" in front: readers of Parquet folders skip names that begin with "_" or ".".
    return f"{table}/agent-{agent}/{agent_id}-{first:012d}-{last:012d}.parquet"


def _filesystem(url: str) -> tuple[Any, str]:
    import fsspec

    try:
        files, base = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise InputError(f"{url!r} cannot be opened ({error})", "archive", "a folder or an fsspec URL") from error
    return files, str(base)


def _parquet(columns: Mapping[str, tuple[str, Sequence[Any]]]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    types = {
        "text": pyarrow.string(),
        "whole": pyarrow.int64(),
        "number": pyarrow.float64(),
        "truth": pyarrow.bool_(),
        "bytes": pyarrow.binary(),
        "numbers": pyarrow.list_(pyarrow.float64()),
    }
    arrays = {name: pyarrow.array(list(values), type=types[kind]) for name, (kind, values) in columns.items()}
    table, version = pyarrow.table(arrays), VERSIONS["archive"]
    if version > 1:  # as with all kinds, the first version carries no mark
        table = table.replace_schema_metadata({"proctor_format": str(version)})
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _replace(path: Path, data: bytes) -> None:
    """Write a neighbour, flush, rename. Its name begins with a dot until then, so no reader sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

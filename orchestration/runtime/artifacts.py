"""Blobs under a content address, in a local folder or in any object store that fsspec reaches.

Layout: ``<url>/objects/ab/abcdef.../<name>``. A blob exists completely or not at all: a local one is written to a
temporary name in its own folder, flushed to the disk and renamed; an object store gets one single put.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import shutil
import socket
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from envsearch.errors import InputError, StoreUnavailableError

_ADDRESS = re.compile(r"[0-9a-f]{4,}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FULL = (errno.ENOSPC, errno.EDQUOT)
Item = TypeVar("Item")
Result = TypeVar("Result")

REQUESTS = 32
"""Requests to an object store at a time: each takes 10 to 50 ms, nearly all of it waiting."""

_JOB_FOLDER = ("runtime_resources", "working_dir_files")
"""Where Ray unpacks the working directory of a job, on the machine that runs it."""


class ArtifactStore:
    """Content-addressed blobs. Picklable: only the URL is sent.

    Args:
        url: a local path, ``file://``, or any fsspec URL (``s3://bucket/folder``). A local path is made absolute at
            once, because workers run in other folders.

    Raises:
        InputError: the protocol is unknown, its package is not installed, or a Ray job would remove the folder.
    """

    def __init__(self, url: str) -> None:
        self._blobs = _backend(url)
        self.url = self._blobs.url

    def __reduce__(self) -> tuple[type[ArtifactStore], tuple[str]]:
        return (ArtifactStore, (self.url,))

    def each(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """The function's results in order; many calls at a time where each waits for an object store."""
        if isinstance(self._blobs, _LocalBlobs):
            return [function(item) for item in items]
        with ThreadPoolExecutor(REQUESTS) as threads:
            return list(threads.map(function, items))

    def mark(self) -> str:
        """An identifier of this very folder, for `check_mark` on other machines; "" for an object store.

        Raises:
            StoreUnavailableError: the folder cannot be written.
        """
        return self._blobs.mark() if isinstance(self._blobs, _LocalBlobs) else ""

    def check_mark(self, mark: str) -> None:
        """Make sure that this machine sees the marked folder, not a local one of the same name.

        Raises:
            StoreUnavailableError: it does not.
        """
        if mark and (not isinstance(self._blobs, _LocalBlobs) or self._blobs.mark(make=False) != mark):
            raise StoreUnavailableError(
                f"node {socket.gethostname()} does not see the driver's store, only a folder of its own",
                "store",
                "a folder that all nodes share, or an object store (s3://...)",
                self.url,
            )

    def has(self, address: str, name: str) -> bool:
        """Whether the blob exists (and is therefore complete)."""
        return self._blobs.exists(_key(address, name))

    def put(self, address: str, name: str, data: bytes) -> None:
        """Write a blob atomically; an older one of the same name is replaced.

        Raises:
            StoreUnavailableError: the disk is full, the folder is read-only, the object store refuses.
        """
        self._blobs.write(_key(address, name), data)

    def get(self, address: str, name: str) -> bytes:
        """Read a blob.

        Raises:
            FileNotFoundError: there is none.
            StoreUnavailableError: it cannot be read.
        """
        return self._blobs.read(_key(address, name))

    def delete(self, address: str, name: str | None = None) -> None:
        """Remove one blob, or everything under the address; nothing happens if it does not exist."""
        self._blobs.remove(_key(address, name) if name else _key(address))

    def location(self, address: str, name: str = "") -> str:
        """Where the blob is, for messages: a path or a URL."""
        return self._blobs.location(_key(address, name) if name else _key(address))


def refuse_job_folder(path: Path, field: str) -> None:
    """Keep results out of the folder that Ray made for a job and removes after it.

    Raises:
        InputError: the path is in that folder.
    """
    if _JOB_FOLDER in itertools.pairwise(path.parts):
        raise InputError(
            f"{path.name!r} is in the job's own folder, which is removed after the job",
            field,
            "an absolute folder that all nodes reach" + (" (--home or PROCTOR_HOME)" if field == "home" else ""),
        )


def _key(address: str, name: str | None = None) -> str:
    if not _ADDRESS.fullmatch(address):
        raise ValueError(f"{address!r} is not a content address")
    if name is None:
        return f"objects/{address[:2]}/{address}"
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a blob's name")
    return f"objects/{address[:2]}/{address}/{name}"


def _backend(url: str) -> _LocalBlobs | _RemoteBlobs:
    if url.startswith("file:"):
        return _LocalBlobs(Path(unquote(urlsplit(url).path)))
    return _RemoteBlobs(url) if "://" in url else _LocalBlobs(Path(url))


class _LocalBlobs:
    """Blobs in a folder of this machine (or of a shared file system)."""

    def __init__(self, root: Path) -> None:
        self._root = root.expanduser().absolute()
        refuse_job_folder(self._root, "store")
        self.url = str(self._root)

    def location(self, key: str) -> str:
        return str(self._root / key)

    def mark(self, make: bool = True) -> str:
        path = self._root / "store-id"
        try:
            if make and not path.exists():
                self._root.mkdir(parents=True, exist_ok=True)
                _make_once(path, uuid.uuid4().hex.encode())
            return path.read_text()
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise _unavailable("write", str(path), error) from error

    def exists(self, key: str) -> bool:
        path = self._root / key
        try:
            return path.is_file()
        except OSError as error:
            raise _unavailable("read", str(path), error) from error

    def read(self, key: str) -> bytes:
        path = self._root / key
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _unavailable("read", str(path), error) from error

    def write(self, key: str, data: bytes) -> None:
        path = self._root / key
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                _write_through(temporary, data)
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            _flush_folder(path.parent)
        except OSError as error:
            raise _unavailable("write", str(path), error) from error

    def remove(self, key: str) -> None:
        path = self._root / key
        try:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise _unavailable("delete", str(path), error) from error


def _make_once(path: Path, data: bytes) -> None:
    """Create a complete file, unless another process creates it first."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        _write_through(temporary, data)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
        except OSError:  # a file system without hard links
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write_through(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make a rename survive a power cut, so that a record never survives without its blob."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _RemoteBlobs:
    """Blobs in an object store."""

    def __init__(self, url: str) -> None:
        import fsspec  # imported here: a local store needs none of it, and commands start faster

        self.url = url.rstrip("/")
        try:
            # Without cached listings: they would hide what another process has written since.
            self._files, self._root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise InputError(f"{url!r} cannot be opened ({error})", "store", "a folder or an fsspec URL") from error

    def location(self, key: str) -> str:
        return f"{self.url}/{key}"

    def _path(self, key: str) -> str:
        return f"{self._root.rstrip('/')}/{key}"

    def exists(self, key: str) -> bool:
        return bool(self._call("read", key, self._files.isfile, self._path(key)))

    def read(self, key: str) -> bytes:
        return bytes(self._call("read", key, self._files.cat_file, self._path(key)))

    def write(self, key: str, data: bytes) -> None:
        self._call("write", key, self._files.pipe_file, self._path(key), data)

    def remove(self, key: str) -> None:
        with contextlib.suppress(FileNotFoundError):  # another process removed it first
            if self._call("read", key, self._files.exists, self._path(key)):
                self._call("delete", key, self._files.rm, self._path(key), recursive=True)

    def _call(self, verb: str, key: str, method: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return method(*arguments, **options)
        except Exception as error:  # every object store's client has its own errors
            if isinstance(error, FileNotFoundError) and verb != "write":  # while writing, it is the bucket
                raise
            raise _unavailable(verb, self.location(key), error) from error


def _unavailable(verb: str, place: str, error: Exception) -> StoreUnavailableError:
    if isinstance(error, OSError) and error.errno in _FULL:
        return StoreUnavailableError(f"cannot {verb}: the disk is full", "", "free space", place)
    reason = (error.strerror if isinstance(error, OSError) else None) or f"{type(error).__name__}: {error}"
    expected = f"a store that this user may {verb}"
    return StoreUnavailableError(f"cannot {verb} ({reason})", "", expected, place)

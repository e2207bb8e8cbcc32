"""Blobs are there whole or not at all, and a store that fails says so in one line."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from envsearch.errors import InputError, StoreUnavailableError
from orchestration.runtime.artifacts import ArtifactStore

ADDRESS = "ab" * 32


@pytest.fixture(params=["path", "file", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    urls = {"path": str(tmp_path / "a b"), "file": (tmp_path / "a b").as_uri(), "memory": f"memory://{uuid.uuid4()}"}
    if request.param == "s3":
        return ArtifactStore(f"{request.getfixturevalue('s3_url')}/some/folder")
    return ArtifactStore(urls[request.param])


def test_what_was_put_is_got(store: ArtifactStore) -> None:
    assert not store.has(ADDRESS, "record.json")
    store.put(ADDRESS, "record.json", b"one")
    store.put(ADDRESS, "record.json", b"two")
    store.put(ADDRESS, "other", b"")
    assert store.has(ADDRESS, "record.json")
    assert store.get(ADDRESS, "record.json") == b"two"
    assert store.get(ADDRESS, "other") == b""
    assert not store.has(ADDRESS[::-1], "record.json")


def test_a_blob_that_is_not_there(store: ArtifactStore) -> None:
    with pytest.raises(FileNotFoundError):
        store.get(ADDRESS, "record.json")
    store.delete(ADDRESS)
    store.delete(ADDRESS, "record.json")


def test_delete_one_blob_and_then_all(store: ArtifactStore) -> None:
    for name in ("a", "b", "c"):
        store.put(ADDRESS, name, b"x")
    store.delete(ADDRESS, "a")
    assert [store.has(ADDRESS, name) for name in "abc"] == [False, True, True]
    store.delete(ADDRESS)
    assert not any(store.has(ADDRESS, name) for name in "abc")


def test_a_pickled_store_reads_the_same_blobs(store: ArtifactStore) -> None:
    store.put(ADDRESS, "a", b"x")
    assert pickle.loads(pickle.dumps(store)).get(ADDRESS, "a") == b"x"


def test_what_another_process_wrote_is_seen_at_once(store: ArtifactStore) -> None:
    """An object store's client may remember listings: what it did not see then would seem never to come."""
    store.put(ADDRESS, "failure.json", b"x")
    store.delete(ADDRESS, "failure.json")
    assert not store.has(ADDRESS, "record.json")
    if store.url.startswith("memory:"):
        pytest.skip("the memory of one process")
    program = "import sys; from orchestration.runtime.artifacts import ArtifactStore\n"
    program += f"ArtifactStore(sys.argv[1]).put({ADDRESS!r}, 'record.json', b'data')"
    subprocess.run([sys.executable, "-c", program, store.url], check=True)
    assert store.has(ADDRESS, "record.json")
    assert store.get(ADDRESS, "record.json") == b"data"


def test_layout_and_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = ArtifactStore("results")
    monkeypatch.chdir("/")
    store.put(ADDRESS, "model.zip", b"x")
    path = tmp_path / "results" / "objects" / "ab" / ADDRESS / "model.zip"
    assert path.read_bytes() == b"x"
    assert store.location(ADDRESS, "model.zip") == str(path)
    assert [entry.name for entry in path.parent.iterdir()] == ["model.zip"]


@pytest.mark.parametrize(
    ("address", "name"), [("../../etc", "a"), ("AB" * 32, "a"), (ADDRESS, "../a"), (ADDRESS, ".a")]
)
def test_only_addresses_and_names_become_paths(tmp_path: Path, address: str, name: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        ArtifactStore(str(tmp_path)).put(address, name, b"x")


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_blob_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    store = ArtifactStore(str(tmp_path))
    store.put(ADDRESS, "a", b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((os, "fsync", full) if failing == "fsync" else (Path, "replace", full)))
    with pytest.raises(StoreUnavailableError, match="disk is full") as caught:
        store.put(ADDRESS, "a", b"new")
    monkeypatch.undo()
    assert str(tmp_path) in str(caught.value)
    assert store.get(ADDRESS, "a") == b"old"
    assert [path.name for path in (tmp_path / "objects" / "ab" / ADDRESS).iterdir()] == ["a"]


def test_a_kill_between_writing_and_renaming_leaves_no_blob(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from orchestration.runtime.artifacts import ArtifactStore\n"
        "Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"ArtifactStore(sys.argv[1]).put({ADDRESS!r}, 'a', b'data')"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert killed.returncode == -9
    store = ArtifactStore(str(tmp_path))
    assert not store.has(ADDRESS, "a")
    store.put(ADDRESS, "a", b"data")
    assert store.get(ADDRESS, "a") == b"data"
    store.delete(ADDRESS)
    assert not (tmp_path / "objects" / "ab" / ADDRESS).exists(), "the temporary file goes with the rest"


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = ArtifactStore(str(tmp_path / "file"))
    assert not store.has(ADDRESS, "a")
    with pytest.raises(StoreUnavailableError, match="cannot write"):
        store.put(ADDRESS, "a", b"x")


def test_an_unknown_protocol(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nosuch://bucket"):
        ArtifactStore("nosuch://bucket")


def test_a_folder_of_its_own_is_not_the_drivers_store(tmp_path: Path) -> None:
    """As on a node that does not mount what the others share."""
    shared, own = ArtifactStore(str(tmp_path / "shared")), ArtifactStore(str(tmp_path / "own"))
    mark = shared.mark()
    assert mark
    assert shared.mark() == mark
    pickle.loads(pickle.dumps(shared)).check_mark(mark)
    for other in (own, ArtifactStore(str(tmp_path / "nowhere"))):
        with pytest.raises(StoreUnavailableError, match="does not see the driver's store"):
            other.check_mark(mark)
    assert own.mark() != mark
    assert not (tmp_path / "nowhere").exists()


def test_one_mark_for_all_who_mark_at_once(tmp_path: Path) -> None:
    stores = [ArtifactStore(str(tmp_path)) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(ArtifactStore.mark, stores))) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["store-id"]


def test_an_object_store_is_one_for_all() -> None:
    store = ArtifactStore("memory://shared")
    assert store.mark() == ""
    store.check_mark("")


def test_many_calls_keep_their_order(store: ArtifactStore) -> None:
    assert store.each(lambda number: number * 2, range(100)) == list(range(0, 200, 2))


def test_a_folder_that_vanishes_with_its_job_is_refused(tmp_path: Path) -> None:
    job = tmp_path / "session" / "runtime_resources" / "working_dir_files" / "_ray_pkg_1234"
    with pytest.raises(InputError, match="removed after the job"):
        ArtifactStore(str(job / "results"))
    ArtifactStore(str(tmp_path / "working_dir_files" / "runtime_resources" / "results"))

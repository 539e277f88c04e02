"""Files are there whole, once, wherever they are."""

from __future__ import annotations

import errno
import os
import pickle
import threading
from pathlib import Path

import fsspec
import pytest
from tests.sweep.objects import ObjectStore

from modscope.errors import InputError, SweepError
from modscope.sweep import Storage

fsspec.register_implementation("objects", ObjectStore, clobber=True)


@pytest.fixture(params=["folder", "memory", "objects"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return Storage(tmp_path / "s" if request.param == "folder" else f"{request.param}://{tmp_path.name}")


def test_written_once_read_and_listed(storage: Storage) -> None:
    assert storage.names("r") == []
    assert not storage.exists("r/a")
    assert storage.write_once("r/a", b"first")
    assert not storage.write_once("r/a", b"second")
    assert storage.read("r/a") == b"first"
    storage.replace("r/a", b"third")
    storage.write_once("r/b", b"")
    assert (storage.read("r/a"), storage.names("r")) == (b"third", ["a", "b"])
    storage.remove("r/a")
    storage.remove("r/a")
    assert storage.names("r") == ["b"]
    with pytest.raises(FileNotFoundError):
        storage.read("r/a")


def test_a_copy_in_another_process_is_of_the_same_place(storage: Storage) -> None:
    storage.write_once("a", b"x")
    assert pickle.loads(pickle.dumps(storage)).read("a") == b"x"


def test_of_many_that_write_at_once_one_does(tmp_path: Path) -> None:
    storage, gate, wrote = Storage(tmp_path), threading.Barrier(8), []

    def write(i: int) -> None:
        gate.wait()
        wrote.append(storage.write_once("one", bytes([i]) * 100_000))

    threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrote.count(True) == 1
    assert len(set(storage.read("one"))) == 1
    assert sorted(os.listdir(tmp_path)) == ["one"]


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage(tmp_path)

    def full(path: Path, data: bytes) -> int:
        path.open("wb").close()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SweepError, match="No space left on device; what is there is whole") as caught:
        storage.write_once("r/a", b"x")
    assert caught.value.fatal
    assert storage.names("r") == []


def test_a_file_is_no_place_for_a_sweep(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(InputError, match="is a file: expected a folder"):
        Storage(tmp_path / "f")
    with pytest.raises(InputError, match="cannot be opened"):
        Storage("nowhere://x")

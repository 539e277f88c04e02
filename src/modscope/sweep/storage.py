"""Files that are written whole or not at all, anywhere that fsspec opens: a folder, an object store, memory.

Nothing is renamed there and nothing appended to: an object store can do neither, and shows a file only when it is whole.
In a folder of this machine files are written as everywhere (`modscope.writing`).
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modscope.errors import InputError, SweepError, cause
from modscope.writing import write_new, write_whole

__all__ = ["Storage"]


class Storage:
    """A place for files by name, `a/b.json`; url is a folder or anything else that fsspec knows.

    >>> here = Storage("memory://storage-doctest")
    >>> here.write_once("results/a", b"first"), here.write_once("results/a", b"second")
    (True, False)
    >>> here.read("results/a"), here.names("results")
    (b'first', ['a'])
    """

    def __init__(self, url: str | os.PathLike[str], options: dict[str, Any] | None = None) -> None:
        import fsspec
        from fsspec.implementations.local import LocalFileSystem

        self.url, self.options = os.fspath(url), dict(options or {})
        try:
            self._fs, self._root = fsspec.core.url_to_fs(self.url, **self.options)
        except (ImportError, ValueError) as error:
            raise InputError(f"{self.url}: cannot be opened: {error}") from error
        # A subclass may lack what a folder can do.
        self.folder = Path(self._root) if type(self._fs) is LocalFileSystem else None
        if self.folder is not None and self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"{self.url}: is a file: expected a folder")

    def __reduce__(self) -> tuple[type[Storage], tuple[str, dict[str, Any]]]:
        return Storage, (self.url, self.options)

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def exists(self, name: str) -> bool:
        """Whether there is a file of that name."""
        if self.folder is not None:
            return (self.folder / name).is_file()
        self._fs.invalidate_cache()
        return bool(self._fs.exists(self._path(name)))

    def read(self, name: str) -> bytes:
        """The contents of a file. Raises FileNotFoundError, SweepError for one that is there and cannot be read."""
        try:
            return bytes(self._fs.cat_file(self._path(name)))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise SweepError(f"{self.place(name)}: cannot be read: {cause(error)}") from error

    def place(self, name: str) -> str:
        """Where a file is, as an error says it."""
        return f"{self.url.rstrip('/')}/{name}"

    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder, sorted; none where there is no such folder."""
        if self.folder is not None:
            try:
                with os.scandir(self.folder / folder) as entries:
                    return sorted(entry.name for entry in entries if not entry.name.endswith(".part"))
            except FileNotFoundError:
                return []
        self._fs.invalidate_cache()
        try:
            found = self._fs.ls(self._path(folder), detail=False)
        except FileNotFoundError:
            return []
        return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in found)

    def write_once(self, name: str, data: bytes) -> bool:
        """Write a file that nobody has written yet; False, and the file as it was, where somebody has."""
        with self._reported(name):
            if self.folder is not None:
                return write_new(self.folder / name, data)
            if self.exists(name):
                return False
            try:
                self._fs.pipe_file(self._path(name), data, mode="create")
            except FileExistsError:
                return False
            except (TypeError, ValueError, NotImplementedError):
                # Two that write at the same moment write the same: names follow from the contents.
                self._fs.pipe_file(self._path(name), data)
            return True

    def replace(self, name: str, data: bytes) -> None:
        """Write a file, or another in its place."""
        with self._reported(name):
            if self.folder is not None:
                place = self.folder / name
                place.parent.mkdir(parents=True, exist_ok=True)
                write_whole(place, data, refusal=SweepError)
            else:
                self._fs.pipe_file(self._path(name), data)

    def remove(self, name: str) -> None:
        """Remove a file; nothing happens where somebody else has."""
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(name))

    @contextlib.contextmanager
    def _reported(self, name: str) -> Iterator[None]:
        try:
            yield
        except (OSError, SweepError) as found:
            error = found if isinstance(found, OSError) else found.__cause__
            if not isinstance(error, OSError):
                raise
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            more = "; what is there is whole, and the same command goes on when there is room" if full else ""
            raise SweepError(
                f"{self.place(name)}: cannot be written: {cause(error)}{more}", fatal=full
            ) from error

"""An object store as fsspec sees one: whole objects only; no renaming, no appending, no exclusive creation."""

from __future__ import annotations

from typing import Any, ClassVar

from fsspec.implementations.memory import MemoryFileSystem


class ObjectStore(MemoryFileSystem):
    protocol = "objects"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return MemoryFileSystem._strip_protocol(path.replace("objects://", "memory://"))

    def mv(self, *_: object, **__: object) -> None:
        raise NotImplementedError("an object store cannot rename")

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        if mode not in ("rb", "wb"):
            raise NotImplementedError(f"an object store cannot open with mode {mode!r}")
        return super()._open(path, mode=mode, **kwargs)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        if mode != "overwrite":
            raise NotImplementedError("this object store only overwrites")
        super().pipe_file(path, value, mode=mode, **kwargs)

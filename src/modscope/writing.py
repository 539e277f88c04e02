"""Files written so that a reader sees the old one or the new one, never half of one, and nothing else is replaced."""

from __future__ import annotations

import os
import re
import secrets
import stat
from pathlib import Path

from modscope.errors import InputError, ModscopeError, cause, path_of

__all__ = ["is_left_over", "write_new", "write_whole"]

# What a process that was killed while it wrote leaves behind; earlier versions named it after the file.
_LEFT_OVER = re.compile(
    r"\.modscope-\d+-[0-9a-f]{8}\.part"
    r"|\.(epoch_\d+\.safetensors|manifest\.json|resume\.safetensors|losses\.csv|recipe\.toml|environment\.json)\.\d+\.part"
)


def write_whole(
    path: str | os.PathLike[str], data: bytes | str, *, refusal: type[ModscopeError] = InputError
) -> Path:
    """Write a file beside its place and rename it; returns the path.

    Where a link stands, the file that it leads to is written; a device or a pipe is written into. refusal: the error
    that is raised where it cannot be written.
    """
    place = path_of(path)
    content = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    try:
        _write(place, content)
    except OSError as error:
        raise refusal(f"{place}: cannot be written: {cause(error)}") from error
    return place


def write_new(path: Path, content: bytes) -> bool:
    """Write a file that is not there yet; False, and the file as it was, where one is. Raises OSError.

    Of two processes that write it at the same moment one does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path)
    try:
        beside.write_bytes(content)
        try:
            os.link(beside, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            if path.exists():
                return False
            os.replace(beside, path)
        return True
    finally:
        beside.unlink(missing_ok=True)


def is_left_over(path: Path) -> bool:
    """Whether a file is one that `write_whole` had not finished, by its name."""
    return _LEFT_OVER.fullmatch(path.name) is not None


def _write(place: Path, content: bytes) -> None:
    try:
        mode = place.stat().st_mode
    except FileNotFoundError:
        mode = 0
    into = place.is_absolute() and place.parts[1:2] in (("dev",), ("proc",))
    if mode and (into or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))):
        with place.open("wb") as file:
            file.write(content)
        return
    if mode and stat.S_ISDIR(mode):
        raise IsADirectoryError(0, "it is a folder")
    target = place.resolve()
    beside = _beside(target)
    try:
        beside.write_bytes(content)
        if mode:
            os.chmod(beside, stat.S_IMODE(mode))
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _beside(place: Path) -> Path:
    return place.with_name(f".modscope-{os.getpid()}-{secrets.token_hex(4)}.part")

"""What a file written by torch.save would do to whoever loads it, told before it is loaded.

A pickle is a program. Its instructions are walked without running any: each must be one that torch.save writes,
each thing called must be one that makes a plain tensor or container, and what would come of it is weighed. A zip
archive says twice how large it is and where things lie; both must be the same, and every checksum right.
"""

from __future__ import annotations

import io
import pickletools
import re
import struct
import zipfile
import zlib
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from modscope.errors import CheckpointError, shown

__all__ = ["Scanned", "scan_archive", "scan_legacy", "scan_pickle"]

STRUCTURE_LIMIT = 64 * 2**20  # bytes of a pickle
DEPTH_LIMIT = 100  # containers inside each other
_SLACK, _SHARING = 10**6, 16  # entries that n instructions may stand for: _SLACK + _SHARING * n

_MAKES = {
    "collections.OrderedDict",
    "collections.Counter",
    "builtins.set",
    "builtins.complex",
    "torch.Size",
    "torch.device",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_parameter",
}
_NUMBERS: Mapping[str, int] = {
    "Double": 8, "Float": 4, "Half": 2, "BFloat16": 2, "Long": 8, "Int": 4, "Short": 2, "Char": 1, "Byte": 1,
    "Bool": 1, "ComplexDouble": 16, "ComplexFloat": 8,
}  # fmt: skip
_STORAGES = {
    f"torch.{place}{name}Storage": size for name, size in _NUMBERS.items() for place in ("", "cuda.")
} | {
    "torch.storage.UntypedStorage": 1,
    "torch.storage.TypedStorage": 1,
}
_DTYPES = {
    f"torch.{name}"
    for name in [
        "float16",
        "float32",
        "float64",
        "half",
        "float",
        "double",
        "bfloat16",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "short",
        "int",
        "long",
        "bool",
        "complex64",
        "complex128",
        "float8_e4m3fn",
        "float8_e5m2",
    ]
}
_NAMED = _STORAGES.keys() | _DTYPES
# It makes as many bytes as it is told to.
_NEVER = {"builtins.bytearray"}
# Pickles of numpy write bytes as text in latin1; some other encodings take the square of the text's length.
_ENCODE, _ENCODINGS = "_codecs.encode", ("latin1", "latin-1")
_SPECIAL = re.compile(r"torch\.((_utils|_tensor|storage|sparse|cuda|serialization)\.|\w*(Tensor|Storage)$)")
_OUTSIDE = frozenset({"os", "posix", "nt", "sys", "subprocess", "shutil", "socket", "importlib", "runpy"})

_ATOMS = {
    "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE",
    "SHORT_BINUNICODE", "BINUNICODE8", "SHORT_BINSTRING", "BINSTRING", "SHORT_BINBYTES", "BINBYTES",
}  # fmt: skip
_EMPTY = {"EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MARK = object()


@dataclass(frozen=True)
class Scanned:
    """What a pickle names: foreign classes and functions as `module.name`, and the bytes of each storage by its key."""

    foreign: tuple[str, ...]
    storages: Mapping[str, int]


@dataclass(slots=True, eq=False)
class _Thing:
    """What an instruction leaves on the stack: entries counted as often as they are reached, and levels."""

    entries: int = 1
    depth: int = 0
    value: Any = None  # of an atom; the parts of a tuple; the name of a global
    kind: str = "atom"
    held: bool = False


def scan_pickle(data: bytes, *, source: object) -> Scanned:
    """Walk a pickle without running it; raises CheckpointError where loading it is not harmless.

    Names of foreign classes pass: whoever loads it puts something inert in their place (`checkpoints.inert`).
    """
    if len(data) > STRUCTURE_LIMIT:
        raise CheckpointError(
            f"{source}: {len(data)} bytes of structure; more than {STRUCTURE_LIMIT} is not read"
        )
    return _Scan(source).run(io.BytesIO(data))


@dataclass
class _Scan:
    source: object
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, _Thing] = field(default_factory=dict)
    foreign: dict[str, None] = field(default_factory=dict)
    storages: dict[str, int] = field(default_factory=dict)
    steps: int = 0
    work: int = 0  # entries that hashing and calling would look at

    def run(self, file: BinaryIO) -> Scanned:
        try:
            for opcode, argument, _ in pickletools.genops(file):
                self.steps += 1
                self._step(opcode.name, argument)
        except CheckpointError:
            raise
        # The walk takes what it finds: whatever does not fit a stack is no pickle.
        except Exception as error:
            raise CheckpointError(f"{self.source}: cut short, or not written by torch.save") from error
        return Scanned(tuple(self.foreign), self.storages)

    def _refuse(self, why: str) -> CheckpointError:
        return CheckpointError(f"{self.source}: {why}: torch.save writes no such thing")

    def _step(self, name: str, argument: Any) -> None:
        if name in _ATOMS:
            self._push(_Thing(value=argument))
        elif name in ("BINGET", "LONG_BINGET"):
            found = self.memo[argument]
            found.held = True
            self._push(found)
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self._top()
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self._top()
        elif name == "MARK":
            self.stack.append(_MARK)
        elif name in _EMPTY:
            self._push(_Thing(kind=name))
        elif name == "EMPTY_TUPLE":
            self._push(_Thing(value=()))
        elif name in _TUPLES:
            self._tuple([self._pop() for _ in range(_TUPLES[name])][::-1])
        elif name == "TUPLE":
            self._tuple(self._to_mark())
        elif name in ("APPEND", "SETITEM"):
            self._fill([self._pop() for _ in range(1 + (name == "SETITEM"))][::-1], name == "SETITEM")
        elif name in ("APPENDS", "ADDITEMS", "SETITEMS"):
            self._fill(self._to_mark(), name != "APPENDS", sets=name == "ADDITEMS")
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            self._name(argument if name == "GLOBAL" else self._two_words())
        elif name in ("REDUCE", "NEWOBJ", "NEWOBJ_EX"):
            self._call([self._pop() for _ in range(1 + (name == "NEWOBJ_EX"))])
        elif name == "BUILD":
            state = self._pop()
            self._grow(self._top(), [state])
        elif name == "BINPERSID":
            self._storage(self._pop())
        elif name in ("POP", "POP_MARK"):
            self._to_mark() if name == "POP_MARK" else self.stack.pop()
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise self._refuse(f"the instruction {name} is in its pickle")

    def _push(self, thing: _Thing) -> None:
        self.stack.append(thing)

    def _top(self) -> _Thing:
        if not isinstance(self.stack[-1], _Thing):
            raise TypeError("a mark, where a value was expected")
        return self.stack[-1]

    def _pop(self) -> _Thing:
        thing = self._top()
        self.stack.pop()
        return thing

    def _to_mark(self) -> list[_Thing]:
        at = len(self.stack) - 1 - self.stack[::-1].index(_MARK) if len(self.stack) < 64 else self._mark()
        things = self.stack[at + 1 :]
        del self.stack[at:]
        return things

    def _mark(self) -> int:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise IndexError("no mark")
        return at

    def _tuple(self, parts: list[_Thing]) -> None:
        made = _Thing(value=tuple(parts) if len(parts) < 16 else None, kind="tuple")
        self._grow(made, parts)
        self._push(made)

    def _grow(self, thing: _Thing, parts: list[_Thing]) -> None:
        for part in parts:
            part.held = True
            thing.entries += part.entries
            thing.depth = max(thing.depth, part.depth + 1)
        if thing.depth > DEPTH_LIMIT:
            raise self._refuse(f"more than {DEPTH_LIMIT} containers inside each other")
        if thing.entries > _SLACK + _SHARING * self.steps:
            raise self._refuse("containers that hold each other many times over")

    def _spend(self, entries: int) -> None:
        self.work += entries
        if self.work > _SLACK + _SHARING * self.steps:
            raise self._refuse("keys or arguments that hold each other many times over")

    def _fill(self, parts: list[_Thing], hashed: bool, *, sets: bool = False) -> None:
        target = self._top()
        if target.held:
            raise self._refuse("a container that is filled after it was used")
        for key in parts if sets else parts[:: 2 if hashed else len(parts) + 1]:
            if hashed:
                self._spend(key.entries)
        self._grow(target, parts)
        target.held = False

    def _two_words(self) -> str:
        name, module = self._pop().value, self._pop().value
        if not isinstance(name, str) or not isinstance(module, str):
            raise TypeError("a global without a name")
        return f"{module} {name}"

    def _name(self, words: str) -> None:
        module, _, short = words.partition(" ")
        module, short = NAME_MAPPING.get((module, short), (IMPORT_MAPPING.get(module, module), short))
        name = f"{module}.{short}"
        if name in _NEVER:
            raise self._refuse(f"a call of {name}")
        if module.split(".")[0] in _OUTSIDE:
            raise CheckpointError(
                f"{self.source}: asks for {shown(name, quoted=False)} to be called while it is loaded, which no network "
                "needs: nothing was run, and the file is not read"
            )
        if name not in _MAKES and name not in _NAMED and name != _ENCODE:
            if _SPECIAL.match(name):
                raise CheckpointError(
                    f"{self.source}: holds a sparse, quantised or otherwise special tensor ({shown(name, quoted=False)}): "
                    "expected plain dense tensors"
                )
            self.foreign[name] = None
        self._push(_Thing(value=name, kind="global"))

    def _call(self, arguments: list[_Thing]) -> None:
        called = self._pop()
        if called.kind != "global":
            raise CheckpointError(
                f"{self.source}: calls what it has made itself, so it cannot be read without running code from the file: "
                "nothing was run. If you trust it, load it where its classes are known and save a state dict"
            )
        if called.value in _NAMED:
            raise self._refuse(f"a call of {called.value}")
        if called.value == _ENCODE and not _encodes_bytes(arguments[0]):
            raise self._refuse("a call of _codecs.encode that is not for the bytes of an array")
        made = _Thing(kind="object")
        self._spend(sum(argument.entries for argument in arguments))
        self._grow(made, arguments)
        self._push(made)

    def _storage(self, identity: _Thing) -> None:
        parts = identity.value if isinstance(identity.value, tuple) else ()
        values = [part.value for part in parts]
        if values[:1] in (["module"], [b"module"]):
            raise CheckpointError(
                f"{self.source}: a whole module in the format of torch before 1.6, which keeps the module's source text: "
                "load it where its class is known and save `module.state_dict()`"
            )
        known = len(values) >= 5 and values[0] in ("storage", b"storage") and values[1] in _STORAGES
        if not known or not isinstance(values[4], int) or values[4] < 0:
            raise self._refuse("a reference to something else than the numbers of a tensor")
        key, claimed = str(values[2]), values[4] * _STORAGES[values[1]]
        self.storages[key] = max(claimed, self.storages.get(key, 0))
        self._push(_Thing(kind="object"))


def _encodes_bytes(arguments: _Thing) -> bool:
    given = arguments.value if isinstance(arguments.value, tuple) else ()
    return len(given) == 2 and isinstance(given[0].value, str) and given[1].value in _ENCODINGS


def scan_archive(file: BinaryIO, *, source: object) -> Scanned:
    """Check a zip archive of torch.save whole: one directory, nothing packed, nothing twice, checksums, its pickle."""
    size = file.seek(0, io.SEEK_END)
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            _check_directory(file, size, archive.start_dir, source)
            _check_entries(entries, size, source)
            _check_sums(archive, entries, source)
            pickles = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
            if len(pickles) != 1 or any(entry.filename.endswith("/constants.pkl") for entry in entries):
                raise CheckpointError(
                    f"{source}: an archive without one data.pkl: expected a file of torch.save"
                )
            if pickles[0].file_size > STRUCTURE_LIMIT:
                raise CheckpointError(
                    f"{source}: {pickles[0].file_size} bytes of structure; more than {STRUCTURE_LIMIT} is not read"
                )
            data = archive.read(pickles[0])
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"{source}: cut short, or not written by torch.save: {shown(error, quoted=False)}"
        ) from error
    scanned = scan_pickle(data, source=source)
    top = pickles[0].filename.removesuffix("data.pkl")
    there = {entry.filename: entry.file_size for entry in entries}
    if any(not name.startswith(top) for name in there):
        raise CheckpointError(f"{source}: an archive of several folders: expected a file of torch.save")
    for key, claimed in scanned.storages.items():
        if there.get(f"{top}data/{key}") != claimed:
            raise CheckpointError(
                f"{source}: a tensor claims more numbers than the file holds: {claimed} bytes, "
                f"of which {there.get(f'{top}data/{key}', 0)} are there"
            )
    return scanned


def _check_directory(file: BinaryIO, size: int, start: int, source: object) -> None:
    """The directory must end where the record at the end of the file begins, so that all readers find the same one."""
    file.seek(max(0, size - 98))
    tail = file.read()
    end = len(tail) - 22
    if end < 0 or tail[end : end + 4] != b"PK\5\6":
        raise CheckpointError(f"{source}: cut short, or not written by torch.save")
    length, offset, comment = struct.unpack("<LLH", tail[end + 12 :])
    if end >= 76 and tail[end - 20 : end - 16] == b"PK\6\7":
        end -= 76
        length, offset = struct.unpack("<QQ", tail[end + 40 : end + 56])
        if tail[end : end + 4] != b"PK\6\6" or struct.unpack("<Q", tail[-34:-26])[0] != size - 98:
            raise CheckpointError(f"{source}: its directory is not where it says")
    if comment or offset != start or offset + length != size - len(tail) + end:
        raise CheckpointError(
            f"{source}: its directory is not where it says, or there are two: not read, as readers would differ"
        )


def _check_entries(entries: list[zipfile.ZipInfo], size: int, source: object) -> None:
    inside = sum(entry.file_size for entry in entries)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or inside > size:
        raise CheckpointError(
            f"{source}: unpacks to {inside} bytes from {size}: torch.save stores without compression, so it is not from there"
        )
    if len({entry.filename for entry in entries}) < len(entries):
        raise CheckpointError(f"{source}: a name is twice in the archive")


def _check_sums(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], source: object) -> None:
    for entry in entries:
        total = 0
        try:
            with archive.open(entry) as part:
                while block := part.read(1 << 20):
                    total = zlib.crc32(block, total)
        except zipfile.BadZipFile as error:
            raise CheckpointError(
                f"{source}: damaged: {shown(entry.filename, quoted=False)} is not what was written ({shown(error, quoted=False)})"
            ) from error


def scan_legacy(file: BinaryIO, *, source: object) -> Scanned:
    """Check a file of torch.save before version 1.6: five pickles, and the numbers after them."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    foreign: dict[str, None] = {}
    storages: dict[str, int] = {}
    for data in _pickles(file, source):
        scanned = _Scan(source).run(io.BytesIO(data))
        foreign |= dict.fromkeys(scanned.foreign)
        storages |= scanned.storages
    if sum(storages.values()) > size:
        raise CheckpointError(
            f"{source}: cut short: its tensors claim more numbers than the file holds: {sum(storages.values())} bytes of {size}"
        )
    return Scanned(tuple(foreign), storages)


def _pickles(file: BinaryIO, source: object) -> Iterator[bytes]:
    for _ in range(5):
        start = file.tell()
        try:
            for _opcode, _argument, _place in pickletools.genops(file):
                if file.tell() - start > STRUCTURE_LIMIT:
                    raise CheckpointError(f"{source}: more than {STRUCTURE_LIMIT} bytes of structure")
        except CheckpointError:
            raise
        except Exception as error:
            raise CheckpointError(f"{source}: cut short, or not written by torch.save") from error
        end = file.tell()
        file.seek(start)
        yield file.read(end - start)

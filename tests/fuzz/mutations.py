"""Seeded damage: of bytes, of trees of plain values, of the instructions of a pickle."""

from __future__ import annotations

import copy
import itertools
import json
import pickletools
import random
from typing import Any

import torch

__all__ = ["in_bytes", "in_instructions", "in_tree", "toml"]

_NUMBERS = (
    0,
    1,
    -1,
    2,
    7,
    2**31,
    2**63,
    -(2**63) - 1,
    10**400,
    0.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    -float("inf"),
)
_TEXTS = (
    "",
    "no",
    "true",
    "add",
    "0:5",
    "--5",
    "a b",
    "\x00",
    "\x1b[31m",
    "\ud800",
    "x" * 3000,
    "../../etc/passwd",
    "(((((",
    "a^b^a",
    "9" * 5000,
)


def _strange(chance: random.Random) -> Any:
    """A value that nobody expects."""
    return chance.choice(
        (
            lambda: chance.choice(_NUMBERS),
            lambda: chance.choice(_TEXTS),
            lambda: None,
            lambda: chance.random() < 0.5,
            lambda: [],
            dict,
            lambda: [chance.choice(_NUMBERS)] * chance.choice((1, 3, 100)),
            lambda: {chance.choice(_TEXTS): chance.choice(_NUMBERS)},
            lambda: [[[[[[1]]]]]],
            lambda: chance.randint(-20, 200),
        )
    )()


def _strange_object(chance: random.Random) -> Any:
    """A value that only a torch file can hold."""
    return chance.choice(
        (
            lambda: _strange(chance),
            lambda: torch.zeros(chance.choice(((), (0,), (3,), (2, 3), (7, 0, 2)))),
            lambda: torch.full((chance.randint(1, 4),), chance.choice((0.0, float("nan"), 1e38))),
            lambda: torch.zeros(
                3, dtype=chance.choice((torch.int64, torch.bool, torch.complex64, torch.float16, torch.uint8))
            ),
            lambda: torch.zeros(2).as_strided((2**20, 2**20), (0, 0)),
            lambda: {1, 2, 3},
            lambda: (1, (2, (3, (4,)))),
            lambda: torch.float32,
            lambda: complex(1, 2),
            lambda: {(1, 2): 3, 4: 5, None: 6, 2.5: 7},
            lambda: bytes(chance.randrange(256) for _ in range(20)),
        )
    )()


def _places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if len(path) < 6 and isinstance(tree, dict | list):
        keys = list(tree) if isinstance(tree, dict) else list(range(min(len(tree), 12)))
        for key in keys:
            found += _places(tree[key], (*path, key))
    return found


def in_tree(tree: Any, chance: random.Random, *, objects: bool = False) -> Any:
    """The tree with one to four entries that are other than they were."""
    strange = _strange_object if objects else _strange
    changed = copy.deepcopy(tree)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        places = _places(changed)
        if not places:
            return strange(chance)
        *path, last = chance.choice(places)
        inside = changed
        for key in path:
            inside = inside[key]
        action = chance.randrange(5)
        if action == 0:
            del inside[last]
        elif action == 1 and isinstance(inside, dict):
            inside[chance.choice(_TEXTS[:8])] = inside.pop(last)
        elif action == 2:
            *other, key = chance.choice(places)
            source = changed
            try:
                for step in other:
                    source = source[step]
                inside[last] = copy.deepcopy(source[key])
            except (KeyError, IndexError, TypeError):
                inside[last] = strange(chance)
        else:
            inside[last] = strange(chance)
    return changed


def in_bytes(data: bytes, chance: random.Random) -> bytes:
    """The bytes with some flipped, cut, repeated, taken out or put in."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        at = chance.randrange(len(changed) + 1)
        length = chance.choice((1, 2, 4, 8, 100))
        action = chance.randrange(6)
        if action == 0 and at < len(changed):
            changed[at] ^= 1 << chance.randrange(8)
        elif action == 1:
            changed[at : at + length] = bytes(chance.randrange(256) for _ in range(length))
        elif action == 2:
            del changed[at:]
        elif action == 3:
            del changed[at : at + length]
        elif action == 4:
            changed[at:at] = changed[at : at + length]
        else:
            changed[at : at + length] = b"\xff" * length
    return bytes(changed)


def in_instructions(pickled: bytes, chance: random.Random) -> bytes:
    """The pickle with instructions left out, repeated, put elsewhere, or with other arguments."""
    ends = [place for _, _, place in pickletools.genops(pickled)] + [len(pickled)]
    parts = [pickled[start:end] for start, end in itertools.pairwise(ends)]
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(parts))
        action = chance.randrange(5)
        if action == 0:
            del parts[at]
        elif action == 1:
            parts.insert(at, chance.choice(parts))
        elif action == 2:
            parts[at] = in_bytes(parts[at], chance)
        elif action == 3:
            other = chance.randrange(len(parts))
            parts[at], parts[other] = parts[other], parts[at]
        else:
            parts.insert(
                at,
                chance.choice(
                    (
                        b"(",
                        b"t",
                        b"R",
                        b"b",
                        b"s",
                        b"u",
                        b"a",
                        b"e",
                        b"}",
                        b"]",
                        b")",
                        b"0",
                        b"Q",
                        b"\x81",
                        b"N",
                        b"K\x05",
                    )
                ),
            )
        if not parts:
            break
    return b"".join(parts)


def toml(table: dict[str, Any]) -> str:
    """A table as TOML, tables within it in one line each; what TOML has not is left out."""
    return "".join(f"{_key(key)} = {_value(value)}\n" for key, value in table.items() if value is not None)


def _key(key: Any) -> str:
    return json.dumps(str(key).encode("utf-8", "replace").decode())


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value if item is not None) + "]"
    if isinstance(value, float | int):
        return repr(value) if not isinstance(value, int) or abs(value) < 10**4000 else "1"
    return _key(value)

"""Tensors as blocks for a page: float32 in byte planes, 16 bits with a scale a row, or waves; gzipped."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from dataclasses import dataclass

import numpy as np

from modscope.errors import InputError, UnknownName
from modscope.viewer.inputs import Tensor
from modscope.viewer.sums_of_waves import as_waves, from_waves, over_c, waves_fit

__all__ = ["Block", "as_text", "from_text", "meta_of", "packed", "unpacked", "with_mask"]

LOSSLESS_LIMIT = 4_000_000
WHOLE_LIMIT = 25_000_000
PRECISIONS = ("auto", "float32", "int16", "waves")
_NAN, _LOW, _MASKED, _HIGH, _TOP = -32768, -32767, -32766, 32767, 32765
MASK_BITS = 0x7FC05A5A  # a NaN that stands for a masked value


@dataclass(frozen=True)
class Block:
    """The gzipped bytes of one tensor and how they are to be read."""

    id: str
    enc: str
    data: bytes
    error: float


def _planes(values: np.ndarray) -> bytes:
    """Byte j of every number in plane j: what is alike comes together, so gzip finds it."""
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return little.reshape(-1).view(np.uint8).reshape(-1, values.itemsize).T.tobytes()


def _unplaned(data: bytes, dtype: str) -> np.ndarray:
    width = np.dtype(dtype).itemsize
    return np.frombuffer(np.frombuffer(data, np.uint8).reshape(width, -1).T.tobytes(), dtype)


def with_mask(tensor: Tensor) -> np.ndarray:
    """The values; where they are masked, with the bits that say so."""
    if tensor.mask is None:
        return tensor.values
    values = np.ascontiguousarray(tensor.values, np.float32).copy()
    values.view(np.uint32)[tensor.mask] = MASK_BITS
    return values


def _sixteen(values: np.ndarray) -> tuple[bytes, float]:
    """Rows of the last axis as middle + step * code, and the largest error of a finite value."""
    rows = values.reshape(-1, values.shape[-1])
    finite = np.isfinite(rows)
    every = bool(finite.all())
    low = (rows if every else np.where(finite, rows, np.inf)).min(1, initial=np.inf).astype(np.float64)
    high = (rows if every else np.where(finite, rows, -np.inf)).max(1, initial=-np.inf).astype(np.float64)
    some = low <= high
    low, high = np.where(some, low, 0.0), np.where(some, high, 0.0)
    middle = ((low + high) / 2).astype(np.float32)
    reach = np.maximum(high - middle, middle - low)
    step = np.nextafter((reach / _TOP).astype(np.float32), np.float32(np.inf))
    filled = rows if every else np.where(finite, rows, middle[:, None]).astype(np.float32)
    scaled = filled - middle[:, None]
    scaled /= step[:, None]
    codes = np.clip(np.rint(scaled, out=scaled), -_TOP, _TOP, out=scaled).astype(np.int16)
    again = np.multiply(codes, step[:, None], dtype=np.float32)
    again += middle[:, None]
    again -= filled
    error = float(max(again.max(initial=0.0), -again.min(initial=0.0)))
    if not every:
        codes[np.isnan(rows)] = _NAN
        codes[np.ascontiguousarray(rows).view(np.uint32) == MASK_BITS] = _MASKED
        codes[rows == np.inf] = _HIGH
        codes[rows == -np.inf] = _LOW
    return _planes(np.concatenate([middle, step])) + _planes(codes), error


def _deflated(raw: bytes) -> bytes:
    """The bytes gzipped. Where looking for repetitions finds none, as in the last bits of activations, it is left out.

    That is three times as fast and hardly larger; three pieces tell.
    """
    starts = range(0, len(raw), max(1, len(raw) // 3))
    pieces = b"".join(raw[start : start + (1 << 14)] for start in starts)
    pays = len(_gzip(pieces, zlib.Z_DEFAULT_STRATEGY)) < 0.97 * len(_gzip(pieces, zlib.Z_RLE))
    return _gzip(raw, zlib.Z_DEFAULT_STRATEGY if pays else zlib.Z_RLE)


def _gzip(raw: bytes, strategy: int) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS, 8, strategy)
    return packer.compress(raw) + packer.flush()


def _fits(values: np.ndarray, limit: int) -> bytes | None:
    """The lossless block if its text stays within a limit; a few rows tell whether to try."""
    flat = values.reshape(-1)
    if flat.nbytes > limit:
        step = max(1, flat.size // 4)
        sample = np.concatenate([flat[start : start + (1 << 14)] for start in range(0, flat.size, step)])
        # Pieces of noise tell the size of the whole; what repeats over a long way is tried.
        if len(_deflated(_planes(sample))) * flat.size / sample.size > 1.2 * limit:
            return None
    data = _deflated(_planes(values))
    return data if len(data) * 5 / 4 <= limit else None


def packed(tensor: Tensor, *, precision: str = "auto", limit: int = LOSSLESS_LIMIT) -> Block:
    """A tensor as a block: float32 where that stays within the limit or is asked for, else 16 bits.

    "waves" keeps each picture as a sum of waves where it can be (`sums_of_waves`), else in 16 bits.
    """
    if precision not in PRECISIONS:
        raise UnknownName.of("precision", precision, PRECISIONS)
    values = with_mask(tensor)
    data = _deflated(_planes(values)) if precision == "float32" else None
    if precision == "auto":
        data = _fits(values, limit)
    enc, error = "f32", 0.0
    if precision == "waves" and waves_fit(values) and (summed := as_waves(values)):
        enc, data, error = "waves", _deflated(summed[0]), summed[1]
    if data is None:
        raw, error = _sixteen(values)
        enc, data = "i16", _deflated(raw)
    name = hashlib.sha1(repr((values.shape, enc)).encode() + data, usedforsecurity=False).hexdigest()[:12]
    return Block(f"modscope-{name}", enc, data, error)


def unpacked(block: Block, shape: tuple[int, ...]) -> np.ndarray:
    """The float32 values of a block, as the page reads them."""
    raw = gzip.decompress(block.data)
    if block.enc == "f32":
        return _unplaned(raw, "<f4").reshape(shape)
    if block.enc in ("waves", "sheared"):
        pictures = from_waves(raw, shape)
        return pictures if block.enc == "waves" else over_c(pictures)
    if block.enc != "i16":
        raise InputError(f"block encoding {block.enc!r}: expected f32, i16, waves or sheared")
    rows = int(np.prod(shape[:-1], dtype=int))
    scales = _unplaned(raw[: 8 * rows], "<f4").reshape(2, rows, 1)
    codes = _unplaned(raw[8 * rows :], "<i2").reshape(rows, shape[-1])
    out = scales[0] + scales[1] * codes.astype(np.float32)
    out[(codes == _NAN) | (codes == _MASKED)] = np.nan
    out[codes == _HIGH] = np.inf
    out[codes == _LOW] = -np.inf
    return out.astype(np.float32).reshape(shape)


# 85 characters that need no escape in a script element nor in an attribute: 5 for 4 bytes, base64 takes 5.33.
ALPHABET = "".join(chr(c) for c in range(33, 127) if chr(c) not in "\"&'<>\\`:,")


def as_text(data: bytes) -> str:
    """Bytes as "length:characters", five characters of base 85 for four bytes.

    >>> from_text(as_text(b"modular")) == b"modular"
    True
    """
    words = np.frombuffer(data + b"\0" * (-len(data) % 4), ">u4").astype(np.uint32)
    letters = np.frombuffer(ALPHABET.encode(), np.uint8)
    # Two digits at once, from a table of all pairs.
    pairs = np.stack([np.repeat(letters, 85), np.tile(letters, 85)], axis=1).view(np.uint16).ravel()
    upper = words // 85**2
    first = upper // 85**2
    out = np.empty(len(words), [("high", "u1"), ("middle", "u2"), ("low", "u2")])
    out["high"] = letters.take(first)
    out["middle"] = pairs.take(upper - first * 85**2)
    out["low"] = pairs.take(words - upper * 85**2)
    return f"{len(data)}:{out.tobytes().decode('ascii')}"


def from_text(text: str) -> bytes:
    """The bytes of such a text."""
    length, _, body = text.partition(":")
    value = np.zeros(256, np.uint64)
    value[np.frombuffer(ALPHABET.encode(), np.uint8)] = np.arange(85)
    digits = value[np.frombuffer(body.encode(), np.uint8)].reshape(-1, 5)
    words = digits @ np.array([85**power for power in (4, 3, 2, 1, 0)], np.uint64)
    return words.astype(">u4").tobytes()[: int(length)]


def meta_of(tensor: Tensor, *, enc: str = "f32", error: float = 0.0, src: str = "") -> dict[str, object]:
    """What the page is told of a tensor beside its numbers."""
    values = tensor.values
    finite = np.isfinite(values)
    every = bool(finite.all())
    some = values if every else values[finite]
    masked = 0 if tensor.mask is None else int(tensor.mask.sum())
    return {
        "name": tensor.name,
        "dims": list(tensor.dims),
        "shape": list(values.shape),
        "enc": enc,
        "error": error,
        "lo": float(some.min()) if some.size else 0.0,
        "hi": float(some.max()) if some.size else 0.0,
        "nan": 0 if every else int(np.isnan(values).sum()) - masked,
        "inf": 0 if every else int(np.isinf(values).sum()),
        "masked": masked,
        "lost": tensor.lost,
        "src": src,
    }

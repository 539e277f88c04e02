"""The shape of the compiled kernel that suits a processor: registers of a row, pairs of a block, neurons of a word."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path

from numba.core.registry import cpu_target

from modscope.errors import InputError

__all__ = ["SHAPE", "KernelShape", "Processor", "kernel_shape"]

SHAPE = "MODSCOPE_KERNEL_SHAPE"
_LANES = 16  # numbers to a lane, the unit of a row: one register of AVX-512, two of AVX, four of NEON
_CACHE = Path("/sys/devices/system/cpu/cpu0/cache")


@dataclass(frozen=True)
class Processor:
    """What decides the shape: float32 numbers in a register, registers, bytes of the first data cache."""

    vector: int
    registers: int
    cache: int

    @classmethod
    def here(cls) -> Processor:
        """The processor as numba compiles for it: `NUMBA_CPU_FEATURES` counts, not what the machine has besides."""
        triple, _, features = cpu_target.target_context.codegen().magic_tuple()
        return cls.of(triple, features, cls._first_cache())

    @classmethod
    def of(cls, triple: str, features: str, cache: int = 0) -> Processor:
        """The processor of an LLVM triple with these features; a cache of 0 bytes is not known.

        >>> Processor.of("x86_64-unknown-linux-gnu", "+sse2,+avx2,+avx512f", 48 * 1024)
        Processor(vector=16, registers=32, cache=49152)
        >>> Processor.of("x86_64-pc-windows-msvc", "+sse2,+avx2,-avx512f")
        Processor(vector=8, registers=16, cache=32768)
        >>> Processor.of("arm64-apple-darwin24", "+neon")
        Processor(vector=4, registers=32, cache=65536)
        """
        has = set(features.split(","))
        if triple.startswith(("aarch64", "arm64")):
            return cls(4, 32, cache or 64 * 1024)
        if "+avx512f" in has:
            return cls(16, 32, cache or 32 * 1024)
        return cls(8 if {"+avx", "+avx2"} & has else 4, 16, cache or 32 * 1024)

    @staticmethod
    def _first_cache() -> int:
        """Bytes of the first data cache where the system says so, else 0."""
        try:
            for index in sorted(_CACHE.glob("index*")):
                if (index / "type").read_text().strip() in ("Data", "Unified"):
                    return 1024 * int((index / "size").read_text().strip().removesuffix("K"))
        except (OSError, ValueError):
            pass
        return 0


@dataclass(frozen=True)
class KernelShape:
    """How the compiled kernel goes about its work.

    row: most lanes of 16 numbers in a row of answers; two_rows: whether the registers hold two rows at once (of C and of
    its gradient); block: pairs at a time; word: neurons at a time. Another shape sums in another order.
    """

    row: int
    two_rows: bool
    block: int
    word: int

    @classmethod
    def of(cls, processor: Processor) -> KernelShape:
        """The shape that suits a processor.

        A row leaves a lane of registers free. 64 rows of answers are taken at a time where they fill no more than two thirds
        of the first cache, else 32: of C on the way to the logits, of logits on the way back.

        >>> KernelShape.of(Processor(16, 32, 48 * 1024))
        KernelShape(row=8, two_rows=True, block=64, word=64)
        >>> KernelShape.of(Processor(8, 16, 32 * 1024))
        KernelShape(row=7, two_rows=False, block=32, word=32)
        >>> KernelShape.of(Processor(4, 32, 128 * 1024))
        KernelShape(row=7, two_rows=False, block=64, word=64)
        """
        lanes = processor.vector * processor.registers // _LANES
        row = min(8, lanes - 1)
        rows = 64 if 3 * 64 * row * _LANES * 4 <= 2 * processor.cache else 32
        return cls(row, lanes >= 3 * row, rows, rows)

    @classmethod
    def read(cls, text: str) -> KernelShape:
        """The shape of a line like "row=7 two_rows=0 block=32 word=32".

        >>> KernelShape.read("row=7 two_rows=0 block=48 word=32")
        KernelShape(row=7, two_rows=False, block=48, word=32)
        """
        expected = f'{SHAPE}="{text}": expected "row=1..8 two_rows=0|1 block=1..64 word=32|64"'
        try:
            given = {name: int(value) for name, _, value in (part.partition("=") for part in text.split())}
        except ValueError:
            raise InputError(expected) from None
        if set(given) != {field.name for field in fields(cls)} or not (
            1 <= given["row"] <= 8
            and given["two_rows"] in (0, 1)
            and 1 <= given["block"] <= 64
            and given["word"] in (32, 64)
        ):
            raise InputError(expected)
        return cls(given["row"], bool(given["two_rows"]), given["block"], given["word"])

    def __str__(self) -> str:
        rows = "two rows" if self.two_rows else "one row"
        return (
            f"{rows} of up to {16 * self.row} answers in registers, {self.block} pairs by {self.word} neurons"
        )


def kernel_shape() -> KernelShape:
    """The shape that the environment asks for by MODSCOPE_KERNEL_SHAPE, or the one that suits the processor."""
    asked = os.environ.get(SHAPE)
    return KernelShape.read(asked) if asked else KernelShape.of(Processor.here())

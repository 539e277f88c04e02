"""Matrix products within compiled code, by the BLAS library that PyTorch brings with it.

Called from Python, small products of two threads wait at the interpreter's lock for longer than they gain; called from
compiled code they do not. The library's single-precision product, sgemm, is looked for by its name of old and tried.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llvmlite.binding
import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from modscope.training.compiling import part

__all__ = ["can_multiply", "multiply", "product"]

_NAME = "modscope_sgemm"  # under which compiled code, kept on disk too, finds it
_BYTE, _I64, _F32 = ir.IntType(8), ir.IntType(64), ir.FloatType()
_POINTER = _BYTE.as_pointer()
_NUMBER = 4  # bytes of a float32


@functools.cache
def can_multiply() -> bool:
    """Whether a library was found, so that `product` can be called; elsewhere PyTorch multiplies."""
    return _sgemm() is not None


@functools.cache
def _sgemm() -> int | None:
    """The place of a function that multiplies as sgemm does, made known to compiled code."""
    for library in _libraries():
        try:
            function = ctypes.CDLL(str(library) if library else None)["sgemm_"]
        except (OSError, AttributeError, TypeError):  # TypeError: Windows opens nothing without a name
            continue
        if _multiplies(function):
            place = ctypes.cast(function, ctypes.c_void_p).value
            assert place is not None
            llvmlite.binding.add_symbol(_NAME, place)
            return place
    return None


def _libraries() -> Iterator[Path | None]:
    """Where the product may be: in PyTorch, or in what it has loaded."""
    folder = Path(torch.__file__).parent / "lib"
    yield from sorted(folder.glob("libtorch_cpu.*"))
    yield from sorted(folder.parents[1].glob("torch.libs/*blas*"))
    yield Path("/System/Library/Frameworks/Accelerate.framework/Accelerate")
    yield None


def _multiplies(function: Any) -> bool:
    """Whether it finds [3, 2] [2, 3] = [3, 3] where sizes are numbers of 64 bits, of which it may read 32."""
    a, b = np.arange(6, dtype=np.float32).reshape(3, 2), np.arange(6, dtype=np.float32).reshape(2, 3) - 2
    out = np.zeros((3, 3), dtype=np.float32)
    three, two = (ctypes.byref(ctypes.c_int64(size)) for size in (3, 2))
    one, none = (ctypes.byref(ctypes.c_float(factor)) for factor in (1.0, 0.0))
    arrays = [array.ctypes.data_as(ctypes.c_void_p) for array in (b, a, out)]
    function.restype = None
    function(b"N", b"N", three, three, two, one, arrays[0], three, arrays[1], two, none, arrays[2], three)
    return bool((out == a @ b).all())


@intrinsic
def product(context: Any, A: Any, B: Any, out: Any, A_turned: Any, B_turned: Any, add: Any) -> Any:
    """op(A) op(B), arrays [row, column] of float32 whose rows are contiguous, into `out` or added to it.

    A_turned, B_turned: whether op is the transpose. No size may be 0.
    """

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        arrays = [
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args[:3], given[:3], strict=True)
        ]
        _call_sgemm(builder, arrays, given[3:5], given[5])
        return context.get_dummy_value()

    return types.void(A, B, out, types.boolean, types.boolean, types.boolean), lower


def _call_sgemm(builder: Any, arrays: list[Any], turned: list[Any], add: Any) -> None:
    """Rows are columns to sgemm: it is asked for out^T = op(B)^T op(A)^T."""
    A, B, out = arrays

    def given(value: Any) -> Any:
        place = cgutils.alloca_once(builder, value.type)
        builder.store(value, place)
        return builder.bitcast(place, _POINTER)

    def letter(flag: Any) -> Any:
        return given(builder.select(flag, *(ir.Constant(_BYTE, ord(x)) for x in "TN")))

    def row(array: Any) -> Any:
        """From one row to the next; what an array of one row says of it may be anything."""
        step = builder.sdiv(cgutils.unpack_tuple(builder, array.strides)[0], ir.Constant(_I64, _NUMBER))
        least = cgutils.unpack_tuple(builder, array.shape)[1]
        return given(builder.select(builder.icmp_signed("<", step, least), least, step))

    rows, columns = cgutils.unpack_tuple(builder, out.shape)
    inner = builder.select(turned[0], *cgutils.unpack_tuple(builder, A.shape))
    one, none = (ir.Constant(_F32, factor) for factor in (1.0, 0.0))
    data_A, data_B, data_out = (builder.bitcast(array.data, _POINTER) for array in arrays)
    arguments = [
        *(letter(turned[1]), letter(turned[0])),
        *(given(size) for size in (columns, rows, inner)),
        *(given(one), data_B, row(B), data_A, row(A)),
        *(given(builder.select(add, one, none)), data_out, row(out)),
    ]
    kind = ir.FunctionType(ir.VoidType(), [_POINTER] * len(arguments))
    builder.call(cgutils.get_or_insert_function(builder.module, kind, _NAME), arguments)


@part
def multiply(A: Any, B: Any, out: Any, A_turned: Any, B_turned: Any, add: Any) -> None:
    """The product, where there is one: a thread may have no share."""
    if out.shape[0] > 0 and out.shape[1] > 0:
        product(A, B, out, A_turned, B_turned, add)  # type: ignore[call-arg]


_sgemm()

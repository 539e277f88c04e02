"""Rows of SIMD registers as values in numba code.

A row is `count` registers of 16 float32 (one AVX-512 register, two of AVX, four of NEON: LLVM splits them).
Numba alone keeps an accumulator row in memory and is bound by its stores; held in registers, a row costs one
fused multiply-add a register, which is what lets a loop over the active neurons alone beat a dense product.
The count must be known to the compiler, so it is passed as a tuple of that length (`lanes`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

__all__ = [
    "LANES",
    "count_ones",
    "dot",
    "fma",
    "four_sums",
    "largest",
    "load",
    "positive_part",
    "power_of_two",
    "products",
    "store",
    "total",
    "trailing_zeros",
    "where_positive",
    "zeros",
]

LANES = 16
_I64, _F32 = ir.IntType(64), ir.FloatType()
_REGISTER = ir.VectorType(_F32, LANES)
_Lowered = tuple[Any, Callable[..., Any]]


class RowType(types.Type):
    """The numba type of a row of `count` registers."""

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(name=f"Row({count})")


@register_model(RowType)
class _RowModel(models.PrimitiveModel):
    def __init__(self, manager: Any, row: RowType) -> None:
        super().__init__(manager, row, ir.ArrayType(_REGISTER, row.count))


def _registers(builder: Any, row: Any) -> list[Any]:
    return [builder.extract_value(row, i) for i in range(row.type.count)]


def _row(builder: Any, registers: Sequence[Any]) -> Any:
    row = ir.Constant(ir.ArrayType(_REGISTER, len(registers)), ir.Undefined)
    for i, register in enumerate(registers):
        row = builder.insert_value(row, register, i)
    return row


def _call(builder: Any, name: str, returns: Any, *arguments: Any, fastmath: tuple[str, ...] = ()) -> Any:
    kind = ir.FunctionType(returns, [argument.type for argument in arguments])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32")
    return builder.call(function, arguments, fastmath=fastmath)


def _spread(builder: Any, scalar: Any) -> Any:
    empty = ir.Constant(_REGISTER, ir.Undefined)
    first = builder.insert_element(empty, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(
        first, empty, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    )


def _addresses(context: Any, builder: Any, kind: Any, given: Any, count: int) -> list[Any]:
    array, i, j = given[:3]
    view = context.make_array(kind)(context, builder, array)
    start = builder.add(builder.mul(i, builder.extract_value(view.shape, 1)), j)
    first = builder.bitcast(builder.gep(view.data, [start]), _REGISTER.as_pointer())
    return [builder.gep(first, [ir.Constant(_I64, k)]) for k in range(count)]


@intrinsic
def load(context: Any, array: Any, i: Any, j: Any, lanes: Any) -> _Lowered:
    """The row array[i, j : j + 16 len(lanes)] of a C-ordered float32 matrix; bounds are not checked."""

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        places = _addresses(context, builder, signature.args[0], given, lanes.count)
        return _row(builder, [builder.load(place, align=4) for place in places])

    return RowType(lanes.count)(array, types.intp, types.intp, lanes), lower


@intrinsic
def store(context: Any, array: Any, i: Any, j: Any, row: Any) -> _Lowered:
    """Write a row to array[i, j:]."""

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        places = _addresses(context, builder, signature.args[0], given, row.count)
        for register, place in zip(_registers(builder, given[3]), places, strict=True):
            builder.store(register, place, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, row), lower


@intrinsic
def fma(context: Any, x: Any, row: Any, total: Any) -> _Lowered:
    """total + x * row, rounded once; x is a number or a row."""
    x = x if isinstance(x, RowType) else types.float32

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        rows, totals = (_registers(builder, value) for value in given[1:])
        if isinstance(x, RowType):
            factors = _registers(builder, given[0])
        else:
            factors = [_spread(builder, given[0])] * len(rows)
        terms = zip(factors, rows, totals, strict=True)
        return _row(builder, [_call(builder, "fma", _REGISTER, *term) for term in terms])

    return row(x, row, row), lower


def _sum(builder: Any, registers: Sequence[Any]) -> Any:
    first, *others = registers
    for other in others:
        first = builder.fadd(first, other)
    zero = ir.Constant(_F32, -0.0)
    return _call(builder, "vector.reduce.fadd", _F32, zero, first, fastmath=("reassoc",))


@intrinsic
def zeros(context: Any, lanes: Any) -> _Lowered:
    """A row of zeros."""

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return _row(builder, [ir.Constant(_REGISTER, [0.0] * LANES)] * lanes.count)

    return RowType(lanes.count)(lanes), lower


@intrinsic
def total(context: Any, row: Any) -> _Lowered:
    """The sum of the numbers of a row."""

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return _sum(builder, _registers(builder, given[0]))

    return types.float32(row), lower


def _products(builder: Any, x: Any, y: Any) -> Any:
    """One register whose sum is the scalar product of two rows."""
    # Two running sums: one alone would wait for itself.
    sums: list[Any] = [ir.Constant(_REGISTER, [0.0] * LANES)] * 2
    for k, pair in enumerate(zip(_registers(builder, x), _registers(builder, y), strict=True)):
        sums[k % 2] = _call(builder, "fma", _REGISTER, *pair, sums[k % 2])
    return builder.fadd(*sums)


@intrinsic
def dot(context: Any, x: Any, y: Any) -> _Lowered:
    """The scalar product of two rows."""

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return _sum(builder, [_products(builder, *given)])

    return types.float32(x, x), lower


@intrinsic
def products(context: Any, x: Any, y: Any) -> _Lowered:
    """A row of one register whose sum is the scalar product of two rows; `four_sums` sums four of them."""

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return _row(builder, [_products(builder, *given)])

    return RowType(1)(x, x), lower


def _picked(builder: Any, x: Any, y: Any, lanes: Sequence[int]) -> Any:
    return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(ir.IntType(32), LANES), list(lanes)))


def _halves_added(builder: Any, x: Any, y: Any, size: int) -> Any:
    """In each group of 2 * size numbers of x, then of y, the first half plus the second."""
    low = [lane for lane in range(2 * LANES) if lane % (2 * size) < size]
    high = [lane + size for lane in low]
    return builder.fadd(_picked(builder, x, y, low), _picked(builder, x, y, high))


@intrinsic
def four_sums(context: Any, a: Any, b: Any, c: Any, d: Any) -> _Lowered:
    """The sums of four rows of one register: half the shuffles of four sums taken one by one."""

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        a, b, c, d = (_registers(builder, row)[0] for row in given)
        four = _halves_added(builder, _halves_added(builder, a, b, 8), _halves_added(builder, c, d, 8), 4)
        for size in (2, 1):
            swapped = [lane ^ size for lane in range(LANES)]
            four = builder.fadd(four, _picked(builder, four, four, swapped))
        sums = [builder.extract_element(four, ir.Constant(ir.IntType(32), 4 * i)) for i in range(4)]
        return cgutils.pack_array(builder, sums)

    return types.UniTuple(types.float32, 4)(a, a, a, a), lower


@intrinsic
def largest(context: Any, row: Any) -> _Lowered:
    """The largest number of a row."""

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        first, *others = _registers(builder, given[0])
        for other in others:
            first = _call(builder, "maxnum", _REGISTER, first, other)
        return _call(builder, "vector.reduce.fmax", _F32, first)

    return types.float32(row), lower


@intrinsic
def where_positive(context: Any, row: Any) -> _Lowered:
    """One bit for each number of a row of at most four registers: is it above zero."""

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        bits = ir.Constant(_I64, 0)
        zero = ir.Constant(_REGISTER, [0.0] * LANES)
        for k, register in enumerate(_registers(builder, given[0])):
            above = builder.bitcast(builder.fcmp_ordered(">", register, zero), ir.IntType(LANES))
            bits = builder.or_(bits, builder.shl(builder.zext(above, _I64), ir.Constant(_I64, k * LANES)))
        return bits

    return types.uint64(row), lower


@intrinsic
def positive_part(context: Any, row: Any) -> _Lowered:
    """max(x, 0) of each number of a row."""

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        zero = ir.Constant(_REGISTER, [0.0] * LANES)
        parts = _registers(builder, given[0])
        return _row(
            builder, [builder.select(builder.fcmp_ordered(">", part, zero), part, zero) for part in parts]
        )

    return row(row), lower


@intrinsic
def count_ones(context: Any, bits: Any) -> _Lowered:
    """How many bits are set."""

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.ctpop(given[0])

    return types.int64(types.uint64), lower


@intrinsic
def trailing_zeros(context: Any, bits: Any) -> _Lowered:
    """The index of the lowest bit that is set, of a number that is not 0."""

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.cttz(given[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), lower


@intrinsic
def power_of_two(context: Any, n: Any) -> _Lowered:
    """2**n as float32, for an int32 n from -126 to 127."""

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        shifted = builder.add(given[0], ir.Constant(ir.IntType(32), 127))
        return builder.bitcast(builder.shl(shifted, ir.Constant(ir.IntType(32), 23)), _F32)

    return types.float32(types.int32), lower

"""Rows of SIMD registers as values in numba code.

A row is `count` registers of 16 float32 (one AVX-512 register, two of AVX, four of NEON: LLVM splits them).
Numba alone keeps an accumulator row in memory and is bound by its stores; held in registers, a row costs one
fused multiply-add a register, which is what lets a loop over the active neurons alone beat a dense product.
The count must be known to the compiler, so it is passed as a tuple of that length (`lanes`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

__all__ = [
    "LANES",
    "add_eight_sums",
    "count_ones",
    "eight_sums",
    "exponentials",
    "fma",
    "largest",
    "load",
    "number",
    "positive_part",
    "power_of_two",
    "products",
    "put",
    "scaled",
    "store",
    "total",
    "trailing_zeros",
    "where_positive",
    "zeros",
]

LANES = 16
_I64, _F32 = ir.IntType(64), ir.FloatType()
_REGISTER, _WHOLE = ir.VectorType(_F32, LANES), ir.VectorType(ir.IntType(32), LANES)
# exp(f) = 1 + f + f^2 (...) on |f| < ln(2) / 2, of the Cephes library.
_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
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


def _f32(x: float) -> float:
    return float(np.float32(x))  # LLVM takes no constant that float32 does not have


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


def _spread(builder: Any, scalar: Any, kind: Any = _REGISTER) -> Any:
    empty = ir.Constant(kind, ir.Undefined)
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


def _number_at(context: Any, builder: Any, kind: Any, array: Any, place: Any) -> Any:
    return builder.gep(context.make_array(kind)(context, builder, array).data, [place])


@intrinsic
def number(context: Any, array: Any, place: Any) -> _Lowered:
    """The number at a place of a C-ordered array, counted through all its rows; bounds are not checked."""

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.load(_number_at(context, builder, signature.args[0], *given))

    return array.dtype(array, types.intp), lower


@intrinsic
def put(context: Any, array: Any, place: Any, x: Any) -> _Lowered:
    """Write a number to a place of a C-ordered array, counted through all its rows."""

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        builder.store(given[2], _number_at(context, builder, signature.args[0], *given[:2]))
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), lower


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


@intrinsic
def scaled(context: Any, x: Any, row: Any) -> _Lowered:
    """Each number of a row times x."""

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        factor = _spread(builder, given[0])
        return _row(builder, [builder.fmul(factor, register) for register in _registers(builder, given[1])])

    return row(types.float32, row), lower


def _numbers(x: float, kind: Any = _REGISTER) -> Any:
    return ir.Constant(kind, [x] * LANES)


def _exponential(builder: Any, x: Any) -> Any:
    """exp of 16 numbers that are not above 0, to 1e-7; 0 below -46 (1e-20), so that nothing is denormal."""
    inside = builder.fcmp_ordered(">", x, _numbers(-46.0))
    x = builder.select(inside, x, _numbers(0.0))
    turns = builder.fptosi(
        _call(builder, "fma", _REGISTER, x, _numbers(_f32(1.44269504)), _numbers(-0.5)), _WHOLE
    )
    n = builder.sitofp(turns, _REGISTER)
    f = _call(builder, "fma", _REGISTER, n, _numbers(_f32(-0.693359375)), x)
    f = _call(builder, "fma", _REGISTER, n, _numbers(_f32(2.12194440e-4)), f)
    y = _numbers(_f32(_EXP[0]))
    for coefficient in _EXP[1:]:
        y = _call(builder, "fma", _REGISTER, y, f, _numbers(_f32(coefficient)))
    y = builder.fadd(_call(builder, "fma", _REGISTER, y, builder.fmul(f, f), f), _numbers(1.0))
    exponent = builder.shl(builder.add(turns, _numbers(127, _WHOLE)), _numbers(23, _WHOLE))
    return builder.select(inside, builder.fmul(y, builder.bitcast(exponent, _REGISTER)), _numbers(0.0))


@intrinsic
def exponentials(context: Any, row: Any, top: Any, without: Any) -> _Lowered:
    """exp(x - top) of each number of a row, and 0 at the place `without`; none may be above top."""

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        top = _spread(builder, given[1])
        place = _spread(builder, builder.trunc(given[2], ir.IntType(32)), _WHOLE)
        found = []
        for k, register in enumerate(_registers(builder, given[0])):
            e = _exponential(builder, builder.fsub(register, top))
            here = ir.Constant(_WHOLE, [LANES * k + lane for lane in range(LANES)])
            found.append(builder.select(builder.icmp_signed("==", here, place), _numbers(0.0), e))
        return _row(builder, found)

    return row(row, types.float32, types.intp), lower


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
    (first, second), *others = zip(_registers(builder, x), _registers(builder, y), strict=True)
    found = builder.fmul(first, second)
    for first, second in others:
        found = _call(builder, "fma", _REGISTER, first, second, found)
    return found


@intrinsic
def products(context: Any, x: Any, y: Any) -> _Lowered:
    """A row of one register whose sum is the scalar product of two rows; `eight_sums` sums eight of them."""

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return _row(builder, [_products(builder, *given)])

    return RowType(1)(x, x), lower


def _picked(builder: Any, x: Any, y: Any, lanes: Sequence[int]) -> Any:
    return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(ir.IntType(32), LANES), list(lanes)))


def _halves(size: int) -> tuple[list[int], list[int]]:
    """Of two registers side by side, the numbers of the first and of the second half of each 2 * size numbers."""
    if size >= 4:
        low = [lane for lane in range(2 * LANES) if lane % (2 * size) < size]
    else:  # four numbers stay where they are, for which there are the quickest instructions
        places = [
            4 * four + lane for four in range(LANES // 4) for lane in range(4) if lane % (2 * size) < size
        ]
        low = []
        for four in range(LANES // 4):
            own = places[2 * four : 2 * four + 2]
            low += [*own, *(LANES + lane for lane in own)]
    return low, [lane + size for lane in low]


def _places() -> list[int]:
    owners = [[row] * LANES for row in range(8)]
    for size in (8, 4, 2):
        low, half = _halves(size)[0], len(owners) // 2
        owners = [[(owners[j] + owners[j + half])[lane] for lane in low] for j in range(half)]
    return [owners[0].index(row) for row in range(8)]


def _eight_sums(context: Any, builder: Any, kind: Any, array: Any, i: Any) -> Any:
    zero = ir.Constant(_I64, 0)
    rows = []
    for k in range(8):
        place = builder.add(i, ir.Constant(_I64, k))
        rows.append(builder.load(_addresses(context, builder, kind, (array, place, zero), 1)[0], align=4))
    for size in (8, 4, 2):
        half, sides = len(rows) // 2, _halves(size)
        rows = [
            builder.fadd(*(_picked(builder, rows[j], rows[j + half], side) for side in sides))
            for j in range(half)
        ]
    twice = builder.fadd(rows[0], _picked(builder, rows[0], rows[0], [lane ^ 1 for lane in range(LANES)]))
    return builder.shuffle_vector(twice, twice, ir.Constant(ir.VectorType(ir.IntType(32), 8), _places()))


@intrinsic
def eight_sums(context: Any, array: Any, i: Any, into: Any) -> _Lowered:
    """into[k] = the sum of array[i + k, :16] for k from 0 to 7, with half the shuffles of sums taken one by one."""

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        sums = _eight_sums(context, builder, signature.args[0], *given[:2])
        target = context.make_array(signature.args[2])(context, builder, given[2]).data
        builder.store(sums, builder.bitcast(target, sums.type.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, into), lower


@intrinsic
def add_eight_sums(context: Any, array: Any, i: Any, into: Any, place: Any) -> _Lowered:
    """Add the sum of array[i + k, :16] to the number of `into` at place + k, for k from 0 to 7."""

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        sums = _eight_sums(context, builder, signature.args[0], *given[:2])
        target = _number_at(context, builder, signature.args[2], *given[2:])
        target = builder.bitcast(target, sums.type.as_pointer())
        builder.store(builder.fadd(builder.load(target, align=4), sums), target, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, into, types.intp), lower


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

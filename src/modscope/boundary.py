"""The boundary around what people call: each argument is held against the type that the function states, once.

What a function does not state (the size of an array, the names that there are) it checks itself; what it runs into
all the same becomes one sentence.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import numbers
import traceback
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, ParamSpec, TypeVar

from modscope.bars import shown_in_notebook
from modscope.errors import InputError, ModscopeError, cause, shown

__all__ = ["public"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Fits = Callable[[Any], bool]

_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_WRONG = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RuntimeError)
_LARGEST = 2**63  # what fits into the integers of arrays


def public(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """A function that people call: an argument that it cannot use is an InputError, whatever it made Python raise.

    An error within a function that is itself an argument stays what it is. Arguments are first held against the annotations: whole numbers, finite numbers, True or False, text, lists of these,
    objects of a class. Arrays and what has no plain type are the function's own business.

    >>> @public
    ... def half(n: int) -> float:
    ...     return n / 2
    >>> half("x")
    Traceback (most recent call last):
    modscope.errors.InputError: half: n = 'x': a str; expected a whole number
    """

    # Annotations may name what is imported later, so they are read at the first call.
    @functools.cache
    def wanted() -> tuple[Mapping[str, _Wanted], tuple[_Wanted | None, ...]]:
        by_name = _wanted(function)
        given = inspect.signature(function).parameters.values()
        return by_name, tuple(by_name.get(one.name) for one in given if one.kind in _BY_PLACE)

    @functools.wraps(function)
    def asked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        by_name, by_place = wanted()
        for one, value in zip(by_place, args, strict=False):
            if one is not None and not one.fits(value):
                raise InputError(one.refusal(value))
        for name in by_name.keys() & kwargs.keys():
            if not by_name[name].fits(kwargs[name]):
                raise InputError(by_name[name].refusal(kwargs[name]))
        try:
            with shown_in_notebook():
                return function(*args, **kwargs)
        except (ModscopeError, MemoryError, RecursionError):
            raise
        except _WRONG as error:
            if _is_of_a_given_function(error, (*args, *kwargs.values())):
                raise
            raise InputError(_what_is_wrong(function, args, kwargs, error)) from error

    return asked


class _Wanted(typing.NamedTuple):
    """What one argument of a function has to be."""

    function: str
    argument: str
    fits: Fits
    words: str

    def refusal(self, value: object) -> str:
        article = "an" if type(value).__name__[0] in "aeiouAEIOU" else "a"
        kind = "" if value is None else f" {article} {type(value).__name__};"
        return f"{self.function}: {self.argument} = {shown(value)}:{kind} expected {self.words}"


def _wanted(function: Any) -> dict[str, _Wanted]:
    """Argument -> what it has to be, for those of which the annotation says it plainly."""
    found = {}
    for name, one in inspect.signature(function).parameters.items():
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            continue
        hint = one.annotation
        with contextlib.suppress(Exception):  # a name that only a checker of types knows
            hint = eval(hint, function.__globals__) if isinstance(hint, str) else hint
            fits = _fits(hint)
            if fits is not None:
                found[name] = _Wanted(_name(function), name, fits, _words(hint))
    return found


def _name(function: Any) -> str:
    return str(function.__qualname__.rpartition("<locals>.")[2])


def _whole(value: Any) -> bool:
    if type(value) is int or isinstance(value, numbers.Integral):
        return not isinstance(value, bool) and -_LARGEST <= int(value) < _LARGEST
    return value.is_integer() if isinstance(value, float) else _is_number(value, "int")


def _finite(value: Any) -> bool:
    if type(value) is float or isinstance(value, numbers.Real):
        return not isinstance(value, bool) and abs(float(value)) < 1e300
    return _is_number(value, "int", "float") and abs(float(value)) < 1e300


def _is_number(value: Any, *kinds: str) -> bool:
    """Whether an array holds one number of these kinds."""
    return getattr(value, "ndim", None) == 0 and any(kind in str(value.dtype) for kind in kinds)


def _truth(value: Any) -> bool:
    return isinstance(value, bool) or getattr(getattr(value, "dtype", None), "kind", "") == "b"


_PLAIN: Mapping[Any, tuple[Fits, str]] = {
    int: (_whole, "a whole number"),
    float: (_finite, "a finite number"),
    bool: (_truth, "True or False"),
    str: (lambda value: isinstance(value, str), "a text"),
    type(None): (lambda value: value is None, "None"),
}
_SEVERAL: Mapping[Any, str] = {int: "whole numbers", float: "finite numbers", bool: "truths", str: "texts"}


def _fits(hint: Any) -> Fits | None:
    """Whether a value is of the type; None where the type is not one that can be asked for plainly."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint in _PLAIN:
        return _PLAIN[hint][0]
    if origin in (typing.Union, types.UnionType):
        choices = [_fits(one) for one in inner]
        if None in choices:
            return None
        return lambda value: any(fits(value) for fits in typing.cast(list[Fits], choices))
    if origin is Literal and all(isinstance(one, str) for one in inner):
        return _PLAIN[str][0]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return lambda value: isinstance(value, Mapping)
    if origin is Callable:
        return callable
    if isinstance(origin, type) and issubclass(origin, Iterable):
        return _several(origin, inner)
    # A bare class: an array may come as what can be made one, and a Protocol cannot be asked for.
    if isinstance(hint, type) and hint.__module__.startswith(("modscope", "xarray")):
        return None if getattr(hint, "_is_protocol", False) else lambda value: isinstance(value, hint)
    return None


def _several(origin: type, inner: tuple[Any, ...]) -> Fits:
    """Whether a value is several of a kind, how many is the function's business; an iterator is not looked into."""
    each = _fits(inner[0]) if inner else None
    refused = (str, bytes) if origin is Iterable else (str, bytes, Mapping)

    def fits(value: Any) -> bool:
        if isinstance(value, refused) or not hasattr(value, "__iter__") or getattr(value, "ndim", 1) != 1:
            return False
        return (
            each is None or not hasattr(value, "__len__") or isinstance(value, range) or all(map(each, value))
        )

    return fits


def _words(hint: Any) -> str:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint in _PLAIN:
        return _PLAIN[hint][1]
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(_words, inner)))
    if origin is Literal:
        return _PLAIN[str][1]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "a mapping"
    if origin is Callable:
        return "a function"
    if isinstance(origin, type) and issubclass(origin, Iterable) and inner:
        return f"several {_SEVERAL.get(inner[0], _words(inner[0]))}"
    name = getattr(hint, "__name__", str(hint))
    return f"xarray.{name}" if getattr(hint, "__module__", "").startswith("xarray") else name


def _is_of_a_given_function(error: Exception, given: Iterable[Any]) -> bool:
    """Whether an error was raised within a function that was an argument: then it is the caller's own."""
    codes = {value.__code__ for value in given if isinstance(value, types.FunctionType)}
    return bool(codes) and any(frame.f_code in codes for frame, _ in traceback.walk_tb(error.__traceback__))


def _what_is_wrong(function: Any, args: Any, kwargs: Any, error: Exception) -> str:
    try:
        given = inspect.signature(function).bind(*args, **kwargs).arguments
    except TypeError as unlike:
        return f"{_name(function)}: {unlike}"
    words = ", ".join(
        f"{name} = {shown(value)}" for name, value in given.items() if name not in ("self", "cls")
    )
    return f"{_name(function)}: cannot be used with {words}: {cause(error)}"

"""`x.ms`: what modscope does to arrays, as methods of any xarray.DataArray.

x.ms.in_order("c", "a").ms.keep(keys).ms.show(play="c")
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import xarray as xr

from modscope import orders, signal
from modscope.boundary import public
from modscope.errors import InputError

if TYPE_CHECKING:
    from modscope.viewer import View

__all__ = ["SignalAccessor"]

Axes = str | Sequence[str]


class SignalAccessor:
    """Orders, spectra, filters and symmetries of an array over the residues; every method gives an array back.

    Axes that are not named are the residues that the array has: a of (c, a), else a and b, else token or answer.

    >>> import modscope
    >>> x = xr.DataArray([[1.0, 2.0], [3.0, 4.0]], dims=("a", "b"))
    >>> x.ms.swap().values.tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """

    def __init__(self, array: xr.DataArray) -> None:
        self._array = array

    def _axes(self, given: Axes | None) -> str | tuple[str, ...]:
        if given is not None:
            return given if isinstance(given, str) else tuple(given)
        dims = self._array.dims
        for choice in (("c", "a"), ("c", "b")):
            if set(choice) <= set(dims):
                return choice[1]
        if {"a", "b"} <= set(dims):
            return ("a", "b")
        found = [str(dim) for dim in dims if dim in ("a", "b", "c", "token", "answer", "n")]
        if len(found) != 1:
            raise InputError(f"an array with axes {dims}: name the axis that holds residues")
        return found[0]

    @public
    def in_order(self, first: str, second: str, *, operation: str | None = None) -> xr.DataArray:
        """The array in another order of its residues, such as ("c", "a"): `modscope.in_order`."""
        return orders.in_order(self._array, first, second, operation=operation)

    @public
    def spectrum(self, axes: Axes | None = None, **options: Any) -> xr.DataArray:
        """Phasors over k (k_a, k_b of two axes): `modscope.signal.spectrum`."""
        return signal.spectrum(self._array, self._axes(axes), **options)

    @public
    def amplitude(self, axes: Axes | None = None) -> xr.DataArray:
        """The amplitude at every frequency: `modscope.signal.amplitude`."""
        return signal.amplitude(self._array, self._axes(axes))

    @public
    def phase(self, axes: Axes | None = None) -> xr.DataArray:
        """The phase at every frequency, in radians: `modscope.signal.phase`."""
        return signal.phase(self._array, self._axes(axes))

    @public
    def power(self, axes: Axes | None = None) -> xr.DataArray:
        """The power at every frequency; all together are the mean square: `modscope.signal.power`."""
        return signal.power(self._array, self._axes(axes))

    @public
    def keep(
        self, frequencies: Sequence[int], axes: Axes | None = None, *, terms: str = "every"
    ) -> xr.DataArray:
        """The part at these frequencies; 0 is the mean: `modscope.signal.keep_frequencies`."""
        return signal.keep_frequencies(self._array, self._axes(axes), frequencies, terms=terms)

    @public
    def remove(
        self, frequencies: Sequence[int], axes: Axes | None = None, *, terms: str = "every"
    ) -> xr.DataArray:
        """The array without that part: `modscope.signal.remove_frequencies`."""
        return signal.remove_frequencies(self._array, self._axes(axes), frequencies, terms=terms)

    @public
    def split(
        self, frequencies: Sequence[int], axes: Axes | None = None, *, terms: str = "every"
    ) -> xr.DataArray:
        """One part for each frequency and the rest, along a first axis `frequency`; together they are the array.

        >>> import modscope, numpy as np
        >>> x = xr.DataArray(3 + np.cos(2 * np.pi * np.arange(5) / 5), dims="token")
        >>> x.ms.split([1, 2]).frequency.values.tolist(), bool(np.allclose(x.ms.split([1, 2]).sum("frequency"), x))
        (['1', '2', 'rest'], True)
        """
        if len(set(frequencies)) != len(list(frequencies)):
            raise InputError(f"frequencies {list(frequencies)}: expected each once")
        parts = [self.keep([k], axes, terms=terms) for k in frequencies]
        rest = self._array - sum(parts) if parts else self._array
        names = xr.DataArray([*map(str, frequencies), "rest"], dims="frequency", name="frequency")
        return xr.concat([*parts, rest], dim=names).assign_attrs(self._array.attrs)

    @public
    def resample(self, n: int, axis: str | None = None) -> xr.DataArray:
        """The band-limited curve at n places of a period: `modscope.signal.resample`."""
        return signal.resample(self._array, self._one(axis), n)

    @public
    def shift(self, by: float, axis: str | None = None) -> xr.DataArray:
        """The wave moved along its circle, by any real distance: `modscope.signal.shift`."""
        return signal.shift(self._array, self._one(axis), by)

    @public
    def even(self, about: object = 0, axis: str | None = None) -> xr.DataArray:
        """The even part about `about`/2; `x.ms.even("c", "a")` about c/2 for every c: `modscope.signal.even_part`.

        An array over a and b is put in the order (c, a) for that, if it is not.

        >>> x = xr.DataArray([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0], [6.0, 7.0, 8.0]], dims=("a", "b"), attrs={"p": 3})
        >>> x.ms.even("c", "a").dims, bool((x.ms.even("c", "a").ms.odd("c", "a") == 0).all())
        (('c', 'a'), True)
        """
        x = self._over(about, axis)
        return signal.even_part(x, x.ms._one(axis), about)  # type: ignore[arg-type]

    @public
    def odd(self, about: object = 0, axis: str | None = None) -> xr.DataArray:
        """The odd part about `about`/2, in the order that `even` has: `modscope.signal.odd_part`."""
        x = self._over(about, axis)
        return signal.odd_part(x, x.ms._one(axis), about)  # type: ignore[arg-type]

    def swap(self) -> xr.DataArray:
        """The picture with a and b exchanged: `modscope.signal.swap`."""
        return signal.swap(self._array)

    @public
    def show(self, **options: Any) -> View:
        """A view of it: `modscope.show`."""
        from modscope.viewer import show

        return show(self._array, **options)

    @public
    def heatmap(self, **options: Any) -> View:
        """A heat map of it: `modscope.heatmap`."""
        from modscope.viewer import heatmap

        return heatmap(self._array, **options)

    def _over(self, about: object, axis: str | None) -> xr.DataArray:
        """The array with the residue `about` as an axis."""
        if about == "c" and "c" not in self._array.dims and {"a", "b"} <= set(self._array.dims):
            return orders.in_order(self._array, "c", axis or "a")
        return self._array

    def _one(self, axis: str | None) -> str:
        axes = self._axes(axis)
        if not isinstance(axes, str):
            raise InputError(f"an array over {' and '.join(axes)}: name one axis")
        return axes

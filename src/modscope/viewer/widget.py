"""A view with a kernel behind it: Python sees where the reader is, moves it, and sends large tensors slice by slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anywidget
import numpy as np
import traitlets

from modscope.errors import InputError, UnknownName
from modscope.viewer.choices import CHOICES
from modscope.viewer.html import bundle
from modscope.viewer.pack import meta_of
from modscope.viewer.page import Page

__all__ = ["WHOLE_BYTES", "ViewWidget"]

WHOLE_BYTES = 4_000_000


class ViewWidget(anywidget.AnyWidget):
    """The live form of a view, from `show(x, live=True)` or `view.widget()`.

    index, mode, x: of the first view, both ways: `w.index = {"c": 8}` moves the page, and playing in the
    page changes `w.index`. hover: what is under the pointer with the text that is read out, or None. state: everything
    about every view. All are traits: `w.observe(f, "index")`. Tensors of up to 4 MB together are sent whole; of
    larger ones only the slices that the page asks for.
    """

    _esm = bundle()
    spec = traitlets.Dict().tag(sync=True)
    data = traitlets.Bytes().tag(sync=True)
    height = traitlets.Int(600).tag(sync=True)
    state = traitlets.List(traitlets.Dict()).tag(sync=True)
    index = traitlets.Dict().tag(sync=True)
    mode = traitlets.Unicode().tag(sync=True)
    x = traitlets.Unicode().tag(sync=True)
    hover = traitlets.Dict(None, allow_none=True).tag(sync=True)

    def __init__(self, view: Page) -> None:
        self.view = view
        whole = sum(tensor.values.nbytes for tensor in view.tensors) <= WHOLE_BYTES
        metas, start = [], 0
        for tensor in view.tensors:
            metas.append(meta_of(tensor, src=str(start)))
            start += tensor.values.nbytes
        spec = {
            "v": 1,
            "tensors": metas,
            "views": [dict(one) for one in view.views],
            "link": view.link,
            "across": view.across,
            "theme": view.theme,
            "source": "comm",
        }
        first = view.views[0]["state"]
        super().__init__(
            spec=spec,
            data=b"".join(_bytes_of(tensor.values) for tensor in view.tensors) if whole else b"",
            height=view.height,
            index=dict(first["index"]),
            mode=first["mode"],
            x=first["x"],
        )
        self.on_msg(self._heard)

    @traitlets.validate("index")
    def _index_is_there(self, proposal: Any) -> dict[str, int]:
        sizes = dict(zip(self.view.views[0]["dims"], self.view.views[0]["shape"], strict=True))
        for dim, at in proposal["value"].items():
            if dim not in sizes:
                raise UnknownName.of("axis", dim, sizes)
            if not 0 <= at < sizes[dim]:
                raise InputError(f"index {at} of axis {dim}: expected 0 to {sizes[dim] - 1}")
        # The page knows all axes; what is not named here stays where it is.
        known = {dim: at for dim, at in self.index.items() if dim in sizes}
        return known | {dim: int(at) for dim, at in proposal["value"].items()}

    @traitlets.validate("mode")
    def _mode_is_there(self, proposal: Any) -> str:
        if proposal["value"] not in CHOICES["mode"]:
            raise UnknownName.of("mode", proposal["value"], CHOICES["mode"])
        return proposal["value"]

    @traitlets.validate("x")
    def _x_is_there(self, proposal: Any) -> str:
        dims = self.view.views[0]["dims"]
        if proposal["value"] not in dims:
            raise UnknownName.of("axis", proposal["value"], dims)
        return proposal["value"]

    def _heard(self, _: object, message: Any, buffers: object) -> None:
        """Answers {kind: read, id, t, keep, index} with one buffer of little-endian float32."""
        if not isinstance(message, dict) or message.get("kind") != "read":
            return
        try:
            values = self.read(message["t"], message["keep"], message["index"])
        except (InputError, KeyError, TypeError) as error:
            self.send({"id": message.get("id"), "error": str(error)})
        else:
            self.send({"id": message["id"]}, buffers=[_bytes_of(values)])

    def read(self, t: int, keep: Sequence[int], index: Sequence[int]) -> np.ndarray:
        """The values of tensor t over the axes `keep`, in that order, with the others at `index`."""
        tensors = self.view.tensors
        if not 0 <= t < len(tensors):
            raise InputError(f"tensor {t}: expected 0 to {len(tensors) - 1}")
        shape = tensors[t].values.shape
        if len(index) != len(shape) or not all(0 <= i < n for i, n in zip(index, shape, strict=True)):
            raise InputError(f"index {list(index)}: expected one inside the shape {shape}")
        if len(set(keep)) != len(keep) or not set(keep) <= set(range(len(shape))):
            raise InputError(f"axes {list(keep)}: expected different numbers from 0 to {len(shape) - 1}")
        cut = tensors[t].values[tuple(slice(None) if i in keep else at for i, at in enumerate(index))]
        return cut.transpose([sorted(keep).index(axis) for axis in keep])


def _bytes_of(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, dtype="<f4").tobytes()

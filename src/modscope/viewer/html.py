"""Pages, frames and fragments: everything that a browser needs, in one text."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from modscope.boundary import public
from modscope.errors import InputError
from modscope.viewer import picture
from modscope.viewer.pack import as_text
from modscope.viewer.page import Page, say_if_large
from modscope.viewer.parcels import Parcels, distinct_numbers

if TYPE_CHECKING:
    from modscope.viewer.outputs import Outputs

__all__ = ["bundle", "fragments", "frame", "page"]

_STYLE = (
    "html,body{margin:0}body{background:Canvas;color-scheme:light dark}"
    "main{display:grid;min-height:100vh;min-height:100dvh}[data-modscope]{display:grid;min-width:0}"
    "[data-modscope]>svg{max-width:100%;height:auto}"
    "h1{position:absolute;width:1px;height:1px;margin:0;overflow:hidden;clip-path:inset(50%)}"
)
_MISSING = (
    "The numbers of this view are in another output of the notebook ({where}), which is not here: it has not been drawn "
    "yet, or it is gone, or this program keeps outputs apart. Run this cell again, and it holds them itself."
)
_LOST = (
    "The numbers of this view are in another output ({where}), which is not in the page now. If that is gone for good, "
    "run this cell again before you save, and it holds them itself."
)
_STILL = "width:100%;max-width:900px;height:auto"


@cache
def bundle(name: str = "viewer.js") -> str:
    """The viewer's module (or another of its scripts), as committed in the package."""
    return files("modscope.viewer").joinpath("static", name).read_text("utf-8")


def _script(kind: str, text: str, name: str = "") -> str:
    own = f' id="{name}"' if name else ""
    return f'<script type="{kind}"{own}>{text}</script>'


def _json(value: object) -> str:
    # "<" as an escape: nothing in the text can end the script element or open a comment.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace(
        "<", "\\u003c"
    )


def _module() -> str:
    return _script("module", bundle().replace("</script", "<\\/script"))


@cache
def _packed_module() -> tuple[str, str]:
    """The name and the text of the module in a third of its length, for notebooks that hold many views."""
    packed = base64.b64encode(gzip.compress(bundle().encode(), mtime=0)).decode()
    return f"modscope-module-{hashlib.sha1(packed.encode(), usedforsecurity=False).hexdigest()[:12]}", packed


def _blocks(view: Page, parcels: Parcels | None = None) -> dict[str, str]:
    return {
        block.id: _script("application/octet-stream", as_text(block.data), block.id)
        for block in view.blocks(parcels=parcels)
    }


def _document(view: Page, scripts: str, still: str = "", told: str = "") -> str:
    title = _title(view)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>"
        f'<main{told}><h1>{title}</h1><div data-modscope="modscope-spec" data-page>{still}</div></main>'
        f"<noscript>This page draws with JavaScript, which is switched off here.</noscript>{scripts}</body></html>"
    )


def _title(view: Page) -> str:
    return html.escape(" · ".join(str(one["title"] or one["name"]) for one in view.views))


def page(view: Page) -> str:
    """A whole page: opens from disk, asks for nothing from anywhere."""
    scripts = [*_blocks(view).values(), _spec(view), _module()]
    return _document(view, "".join(scripts), _still(view))


def _spec(view: Page, parcels: Parcels | None = None, name: str = "modscope-spec") -> str:
    return _script("application/json", _json(view.page_spec(parcels=parcels)), name)


def _still(view: Page) -> str:
    """The picture that stands where scripts do not run, as elements: no policy keeps those out.

    Empty where there is no engine to draw it.
    """
    try:
        with picture.stills(view) as made:
            # Within a page the name of the format is known.
            return re.sub(r' xmlns="[^"]*"', "", made.svg())
    except InputError:
        return ""


def folder_page(view: Page, folder: str) -> tuple[str, dict[str, bytes]]:
    """A page whose numbers lie beside it in a folder (to be served), and those files by name."""
    blocks = {block.id: block.data for block in view.blocks(precision="float32")}
    spec = view.page_spec(precision="float32") | {"source": "folder"}
    tensors = [meta | {"src": f"{folder}/{meta['src']}.bin"} for meta in spec["tensors"]]
    scripts = _script("application/json", _json(spec | {"tensors": tensors}), "modscope-spec") + _module()
    text = _document(view, scripts)
    return text, {f"{name}.bin": data for name, data in blocks.items()}


def _small_still(view: Page) -> str:
    try:
        with picture.stills(view) as made:
            drawn = made.picture(dpi=70 if view.across == 1 else 60, kind="png")
    except InputError:
        return ""
    return base64.b64encode(picture.in_few_colours(drawn)).decode()


def frame(view: Page, outputs: Outputs | None = None, *, broker: bool = True) -> str:
    """A sandboxed frame that holds the page; inside it a still picture for where frames are not shown.

    With `outputs` it leaves out what another output of the same notebook carries, and asks the page for it. Without
    `broker` there is no script beside the frame: the frame stays as high as it was made.
    """
    parcels = None if outputs is None else outputs.parcels
    name, module = _packed_module()
    blocks = _blocks(view, parcels) | {name: _script("application/octet-stream", module, name)}
    sizes = {name: len(text) for name, text in blocks.items()}
    needs = {} if outputs is None else outputs.elsewhere(sizes)
    carried = {name: text for name, text in blocks.items() if name not in needs}
    where = ", ".join(sorted(set(needs.values())))
    scripts = [*carried.values(), _spec(view, parcels), _script("module", bundle("frame.js"))]
    told = (
        f' data-module="{name}" data-needs="{" ".join(needs)}" data-missing="{_MISSING.format(where=where)}"'
    )
    inner = _document(view, "".join(scripts), told=told)
    told = f'data-carries="{" ".join(carried)}" data-needs="{" ".join(needs)}"'
    note = f'<p class="modscope-lost" hidden>{_LOST.format(where=where)}</p>' if needs else ""
    script = f"<script>{bundle('broker.js')}</script>" if broker else ""
    return f"{_framed(view, inner, told)}{note}{script}</div>"


def _framed(view: Page, inner: str, told: str) -> str:
    still = _small_still(view)
    alt = html.escape(view.describe(), quote=True)
    shown = f'<img src="data:image/png;base64,{still}" alt="{alt}" style="{_STILL}">' if still else ""
    instead = f"{shown}<p>{alt} (A still: the notebook is not trusted, or its scripts are off.)</p>"
    return (
        f'<div class="modscope-view"><iframe sandbox="allow-scripts allow-downloads" allow="clipboard-write; autoplay" '
        f'title="{alt}" style="width:100%;height:{view.height}px;border:0;display:block" {told} '
        f'srcdoc="{html.escape(inner, quote=True)}">{instead}</iframe>'
    )


@public
def fragments(views: Sequence[Page]) -> tuple[str, list[str]]:
    """Views for one page of one's own: what the page needs once (put it before </body>), and an element for each.

    The bundle and every array are in the first text once, however many views use them, and the budget is that of
    all views together; the elements keep
    their style to themselves and are as high as they need to be.
    """
    parcels = Parcels(distinct_numbers([view.tensors for view in views]))
    blocks: dict[str, str] = {}
    once: list[str] = []
    elements = []
    for n, view in enumerate(views):
        blocks |= _blocks(view, parcels)
        name = f"modscope-spec-{n}"
        once.append(_spec(view, parcels, name))
        elements.append(
            f'<div data-modscope="{name}" role="group" aria-label="{html.escape(view.describe(), quote=True)}"></div>'
        )
    say_if_large(sum(map(len, blocks.values())), f"the page of these {len(views)} views")
    return "".join([*blocks.values(), *once, _module()]), elements

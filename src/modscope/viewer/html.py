"""Pages, frames and fragments: everything that a browser needs, in one text."""

from __future__ import annotations

import base64
import gzip
import html
import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from modscope.viewer import picture
from modscope.viewer.pack import as_text

if TYPE_CHECKING:
    from modscope.viewer.view import View

__all__ = ["bundle", "fragments", "frame", "page"]

_STYLE = (
    "html,body{margin:0}body{background:Canvas;color-scheme:light dark}"
    "main{display:grid;min-height:100vh;min-height:100dvh}[data-modscope]{display:grid;min-width:0}"
    "h1{position:absolute;width:1px;height:1px;margin:0;overflow:hidden;clip-path:inset(50%)}"
)
_STILL = "width:100%;max-width:900px;height:auto"


@cache
def bundle() -> str:
    """The viewer's module, as committed in the package."""
    return files("modscope.viewer").joinpath("static/viewer.js").read_text("utf-8")


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
def _small_module() -> str:
    """A script that unpacks the module and runs it: a third of its text, for notebooks that hold many views."""
    packed = base64.b64encode(gzip.compress(bundle().encode(), mtime=0)).decode()
    return _script(
        "module",
        f"const bytes=Uint8Array.from(atob('{packed}'),c=>c.charCodeAt(0));"
        "const stream=new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));"
        "const script=document.createElement('script');script.type='module';"
        "script.textContent=await new Response(stream).text();document.head.append(script);",
    )


def _blocks(view: View) -> dict[str, str]:
    return {
        block.id: _script("application/octet-stream", as_text(block.data), block.id)
        for block in view.blocks()
    }


def _document(view: View, scripts: str) -> str:
    title = _title(view)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>"
        f'<main><h1>{title}</h1><div data-modscope="modscope-spec" data-page></div></main>'
        f"<noscript>This page draws with JavaScript, which is switched off here.</noscript>{scripts}</body></html>"
    )


def _title(view: View) -> str:
    return html.escape(" · ".join(str(one["title"] or one["name"]) for one in view.views))


def page(view: View, *, module: str = "") -> str:
    """A whole page: opens from disk, asks for nothing from anywhere."""
    spec = _script("application/json", _json(view.page_spec()), "modscope-spec")
    return _document(view, f"{''.join(_blocks(view).values())}{spec}{module or _module()}")


def folder_page(view: View, folder: str) -> tuple[str, dict[str, bytes]]:
    """A page whose numbers lie beside it in a folder (to be served), and those files by name."""
    blocks = {block.id: block.data for block in view.blocks(precision="float32")}
    spec = view.page_spec(precision="float32") | {"source": "folder"}
    tensors = [meta | {"src": f"{folder}/{meta['src']}.bin"} for meta in spec["tensors"]]
    scripts = _script("application/json", _json(spec | {"tensors": tensors}), "modscope-spec") + _module()
    text = _document(view, scripts)
    return text, {f"{name}.bin": data for name, data in blocks.items()}


def frame(view: View) -> str:
    """A sandboxed frame that holds the page; inside it a still picture for where frames are not shown."""
    still = base64.b64encode(picture.in_few_colours(view.still(dpi=70))).decode()
    alt = html.escape(view.describe(), quote=True)
    inner = f'<img src="data:image/png;base64,{still}" alt="{alt}" style="{_STILL}"><p>{alt} (A still: the notebook is not trusted, or its scripts are off.)</p>'
    return (
        f'<div class="modscope-view"><iframe sandbox="allow-scripts allow-downloads" allow="clipboard-write; autoplay" '
        f'title="{alt}" style="width:100%;height:{view.height}px;border:0;display:block" '
        f'srcdoc="{html.escape(page(view, module=_small_module()), quote=True)}">{inner}</iframe>'
        "</div>"
    )


def fragments(views: Sequence[View]) -> tuple[str, list[str]]:
    """Views for one page of one's own: what the page needs once (put it before </body>), and an element for each.

    The bundle and every block are in the first text once, however many views use them; the elements keep
    their style to themselves and are as high as they need to be.
    """
    blocks: dict[str, str] = {}
    once: list[str] = []
    elements = []
    for n, view in enumerate(views):
        blocks |= _blocks(view)
        name = f"modscope-spec-{n}"
        once.append(_script("application/json", _json(view.page_spec()), name))
        elements.append(
            f'<div data-modscope="{name}" role="group" aria-label="{html.escape(view.describe(), quote=True)}"></div>'
        )
    return "".join([*blocks.values(), *once, _module()]), elements

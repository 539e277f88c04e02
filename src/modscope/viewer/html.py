"""Pages, frames and fragments: everything that a browser needs, in one text."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from modscope.errors import InputError
from modscope.viewer import picture
from modscope.viewer.pack import as_text
from modscope.viewer.page import Page

__all__ = ["bundle", "fragments", "frame", "page"]

_STYLE = (
    "html,body{margin:0}body{background:Canvas;color-scheme:light dark}"
    "main{display:grid;min-height:100vh;min-height:100dvh}[data-modscope]{display:grid;min-width:0}"
    "[data-modscope]>svg{max-width:100%;height:auto}"
    "h1{position:absolute;width:1px;height:1px;margin:0;overflow:hidden;clip-path:inset(50%)}"
)
# Frames tell how high their page is; one listener for all of a notebook makes room.
_HEIGHTS = (
    "if(!window.modscopeHeights){window.modscopeHeights=true;addEventListener('message',e=>{"
    "if(!e.data||e.data.modscope!=='height')return;"
    "for(const f of document.querySelectorAll('.modscope-view iframe'))"
    "if(f.contentWindow===e.source)f.style.height=Math.min(6000,Math.max(200,e.data.height))+'px'})}"
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


def _blocks(view: Page) -> dict[str, str]:
    return {
        block.id: _script("application/octet-stream", as_text(block.data), block.id)
        for block in view.blocks()
    }


def _document(view: Page, scripts: str, still: str = "") -> str:
    title = _title(view)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>"
        f'<main><h1>{title}</h1><div data-modscope="modscope-spec" data-page>{still}</div></main>'
        f"<noscript>This page draws with JavaScript, which is switched off here.</noscript>{scripts}</body></html>"
    )


def _title(view: Page) -> str:
    return html.escape(" · ".join(str(one["title"] or one["name"]) for one in view.views))


def page(view: Page) -> str:
    """A whole page: opens from disk, asks for nothing from anywhere."""
    return _whole(view, _module(), _still(view))


def _whole(view: Page, module: str, still: str) -> str:
    spec = _script("application/json", _json(view.page_spec()), "modscope-spec")
    return _document(view, f"{''.join(_blocks(view).values())}{spec}{module}", still)


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


def frame(view: Page) -> str:
    """A sandboxed frame that holds the page; inside it a still picture for where frames are not shown."""
    still = _small_still(view)
    alt = html.escape(view.describe(), quote=True)
    shown = f'<img src="data:image/png;base64,{still}" alt="{alt}" style="{_STILL}">' if still else ""
    inner = f"{shown}<p>{alt} (A still: the notebook is not trusted, or its scripts are off.)</p>"
    return (
        f'<div class="modscope-view"><iframe sandbox="allow-scripts allow-downloads" allow="clipboard-write; autoplay" '
        f'title="{alt}" style="width:100%;height:{view.height}px;border:0;display:block" '
        f'srcdoc="{html.escape(_whole(view, _small_module(), ""), quote=True)}">{inner}</iframe>'
        f"<script>{_HEIGHTS}</script></div>"
    )


def fragments(views: Sequence[Page]) -> tuple[str, list[str]]:
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

"""Makes the documents' live views: a block of ```python show is run, and what it gives is drawn under it.

mkdocs calls this while it builds (`./run docs`). Blocks of one page share their names, in order; a block that fails, fails
the build.
"""

from __future__ import annotations

import ast
import io
import re
from contextlib import redirect_stdout
from typing import Any

BLOCK = re.compile(r"^```python( show)?\n(.*?)^```$", re.M | re.S)
# Its calls stand in a table, and have a test of their own.
LEFT_OUT = {"original-notebook.md"}
FRAME = re.compile(r"<iframe.*</iframe>", re.S)


def value_of(source: str, names: dict[str, Any]) -> Any:
    """Runs a block; the value of its last expression, if it ends in one."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "block", "exec"), names)
    return eval(compile(ast.Expression(last.value), "block", "eval"), names) if last else None


def with_views(markdown: str, name: str) -> str:
    """The text of a page with a view under each block that asks for one."""
    if name in LEFT_OUT or "```python show" not in markdown:
        return markdown.replace("```python show", "```python")
    names: dict[str, Any] = {}

    def shown(match: re.Match[str]) -> str:
        with redirect_stdout(io.StringIO()):
            value = value_of(match[2], names)
        code = f"```python\n{match[2]}```"
        if not match[1]:
            return code
        frame = FRAME.search(value._repr_html_())
        assert frame is not None, f"{name}: no view comes of\n{match[2]}"
        # Markdown leaves a block of one line alone.
        line = frame[0].replace("\n", "&#10;")
        return f'{code}\n\n<div class="modscope-view">{line}</div>'

    return BLOCK.sub(shown, markdown)


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """What mkdocs calls for each page."""
    return with_views(markdown, page.file.src_uri)

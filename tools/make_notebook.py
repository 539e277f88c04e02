"""Runs notebooks/modular_attention.py and writes it, with its outputs, as notebooks/modular_attention.ipynb.

    python tools/make_notebook.py
    python tools/make_notebook.py path/to/checkpoint --output mine.ipynb

A path makes it of another network, which has to go somewhere else than the stored one.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"


def executed(source: Path) -> nbformat.NotebookNode:
    """The notebook of a text file, run in a fresh kernel; the same input gives the same cell ids."""
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells, start=1):
        cell["id"] = f"cell-{number:03d}"
    client = NotebookClient(notebook, timeout=600, record_timing=False, kernel_name="python3")
    client.execute()
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", nargs="?", type=Path, help="a checkpoint; the shipped network if left out")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    if given.network and not given.output:
        parser.error("a notebook of another network needs --output: the stored one is of the shipped network")
    output = given.output or FOLDER / "modular_attention.ipynb"
    if given.network:
        os.environ["MODSCOPE_NETWORK"] = str(given.network.resolve())
    text = nbformat.writes(executed(FOLDER / "modular_attention.py"))
    beside = output.with_name(output.name + ".part")
    beside.write_text(text + "\n", encoding="utf-8")
    beside.replace(output)
    print(f"{output.name}: {len(text) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()

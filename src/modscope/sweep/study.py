"""The study that ships with modscope: what was asked for, and the table that came out."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from modscope.errors import ModscopeError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["study_table"]


def study_table() -> pd.DataFrame:
    """The table of the study: a row for each network and measure (docs/study.md). Its plan is beside it, `study.toml`."""
    from modscope.sweep.table import read_table

    file = files("modscope") / "data" / "study" / "table.parquet"
    if not file.is_file():
        raise ModscopeError(f"{file}: the study that ships with modscope is not installed")
    return read_table(file.read_bytes(), str(file))

"""The table of a sweep: a row for each network and measure, as Arrow, Parquet and CSV."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from modscope.errors import SweepError, turned_into
from modscope.schema import json_in
from modscope.sweep.measures import Row
from modscope.sweep.plan import Plan
from modscope.sweep.records import table_in

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "as_csv",
    "networks_of",
    "planned",
    "read_segment",
    "read_table",
    "results_in",
    "segment_of",
    "written",
]

_WORDS = pa.dictionary(pa.int32(), pa.string())
_OF_NETWORK = ("network", "recipe", "modscope", "commit", "trained_by")
_OF_ROW = {"kind": _WORDS, "measure": _WORDS, "verdict": _WORDS, "text": _WORDS, "unit": _WORDS}
_NUMBERS = ("value", "control", "low", "high")
SCHEMA = pa.schema(
    [
        *((name, _WORDS) for name in _OF_NETWORK),
        *((name, _OF_ROW.get(name, pa.float64())) for name in Row._fields),
        ("record", pa.string()),
    ]
)


def segment_of(results: Sequence[Mapping[str, Any]]) -> pa.Table:
    """The rows of results; record holds what else a result says, as JSON in the first row of its network."""
    counts = [len(result["rows"]) for result in results]
    owner = np.repeat(np.arange(len(results)), counts)
    names = {"network": "key", "recipe": "said", "trained_by": "trained by"}
    columns: dict[str, pa.Array] = {}
    for name in _OF_NETWORK:
        values = [result[names.get(name, name)] for result in results]
        columns[name] = pa.DictionaryArray.from_arrays(
            pa.array(owner, pa.int32()), pa.array(values, pa.string())
        )
    for i, name in enumerate(Row._fields):
        plain = pa.float64() if name in _NUMBERS else pa.string()
        array = pa.array([row[i] for result in results for row in result["rows"]], plain)
        columns[name] = array if name in _NUMBERS else array.dictionary_encode()
    records: list[str | None] = []
    for result, count in zip(results, counts, strict=True):
        records += [json.dumps({k: v for k, v in result.items() if k != "rows"}), *[None] * (count - 1)]
    columns["record"] = pa.array(records, pa.string())
    return pa.table(columns).cast(SCHEMA)


def written(table: pa.Table) -> bytes:
    """A table as Parquet."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def read_segment(data: bytes, place: str) -> pa.Table:
    """A segment from Parquet, its rows held against `SCHEMA` and its records read. Raises SweepError, which names the place."""
    with turned_into(SweepError, f"{place}: is damaged", inputs=True):
        found = pq.read_table(io.BytesIO(data)).select(SCHEMA.names).cast(SCHEMA)
        first = found["record"][0].as_py() if len(found) else None
        if len(found) and first is None:
            raise SweepError(f"{place}: is damaged: its first row belongs to no network")
        for record in found["record"].drop_null().to_pylist():
            table_in(record.encode(), place)
        return found


def networks_of(segment: pa.Table) -> frozenset[str]:
    """The keys of the networks in a segment."""
    return frozenset(pc.unique(segment["network"].cast(pa.string())).to_pylist())


def results_in(segment: pa.Table) -> Iterator[dict[str, Any]]:
    """The results that a segment was made of."""
    columns = [segment[name].to_pylist() for name in Row._fields]
    result: dict[str, Any] = {}
    for record, *row in zip(segment["record"].to_pylist(), *columns, strict=True):
        if record is not None:
            if result:
                yield result
            result = {**json_in(record), "rows": []}
        result["rows"].append(row)
    if result:
        yield result


def planned(parts: Sequence[pa.Table], plan: Plan) -> pa.Table:
    """The rows of all planned networks that are there, with case and axes, in the order of the plan.

    A network that is in two parts, as after a client was killed while it gathered, is taken once.
    """
    whole = pa.concat_tables([*parts, SCHEMA.empty_table()]).unify_dictionaries().combine_chunks()
    network = _codes(whole["network"])
    first_part = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    home = np.full(len(network.dictionary), len(parts))
    np.minimum.at(home, network.codes, first_part)
    usable = home[network.codes] == first_part
    position = {key: i for i, key in enumerate(network.dictionary)}
    rows_of = _grouped(network.codes, usable, len(position))
    units = [unit for unit in plan.units if unit.key in position]
    taken = [rows_of[position[unit.key]] for unit in units]
    rows = np.concatenate([*taken, np.empty(0, np.int64)]).astype(np.int64)
    unit_of_row = pa.array(np.repeat(np.arange(len(units)), [len(some) for some in taken]), pa.int32())
    found = whole.take(pa.array(rows))
    columns: dict[str, pa.Array] = {"network": found["network"]}
    columns["case"] = _spread([unit.case for unit in units], unit_of_row)
    for axis in plan.axes:
        columns[axis] = _spread([_plain(unit.axes.get(axis)) for unit in units], unit_of_row)
    columns |= {name: found[name] for name in SCHEMA.names if name not in ("network", "record")}
    return pa.table({name: _in_order_of_appearance(column) for name, column in columns.items()})


class _codes:  # noqa: N801 - a function that returns two things
    """A column of words as numbers, and the words."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        array = column.combine_chunks()
        array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
        self.codes = array.indices.to_numpy(zero_copy_only=False)
        self.dictionary: list[str] = array.dictionary.to_pylist()


def _grouped(codes: np.ndarray, usable: np.ndarray, count: int) -> list[np.ndarray]:
    """The numbers of the usable rows of each network, in their order."""
    rows = np.flatnonzero(usable)
    rows = rows[np.argsort(codes[rows], kind="stable")]
    edges = np.searchsorted(codes[rows], np.arange(count + 1))
    return [rows[a:b] for a, b in pairwise(edges)]


def _spread(values: list[Any], rows: pa.Array) -> pa.Array:
    """The values of units over their rows."""
    kinds = {type(value) for value in values if value is not None}
    numeric = kinds <= {int, float} and bool(kinds)
    array = pa.array(values if numeric else [None if v is None else _word(v) for v in values])
    return array.take(rows)


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, int | float | str) else json.dumps(value)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _in_order_of_appearance(column: Any) -> Any:
    """Words with their dictionary in the order in which they come: the same rows are then the same bytes."""
    chunk = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_null(chunk.type):
        return chunk.cast(pa.string()).dictionary_encode()
    if not (pa.types.is_dictionary(chunk.type) or pa.types.is_string(chunk.type)):
        return chunk
    return chunk.cast(pa.string()).dictionary_encode()


def as_csv(table: pa.Table) -> bytes:
    """A table as CSV; what does not apply is empty."""
    plain = [
        column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
        for column in table.columns
    ]
    sink = io.BytesIO()
    pa.csv.write_csv(pa.table(plain, names=table.column_names), sink)
    return sink.getvalue()


def read_table(data: bytes, place: str) -> pd.DataFrame:
    """The table of a sweep from Parquet as a pandas DataFrame; words are categories. Raises SweepError, which names the place."""
    with turned_into(SweepError, f"{place}: is damaged", inputs=True):
        found = pq.read_table(io.BytesIO(data))
        # What a row says of its network and measure is of the types that are written; the axes are what they are.
        for field in SCHEMA:
            if field.name != "record":
                at = found.column_names.index(field.name)
                found = found.set_column(at, field, found.column(at).cast(field.type))
        return found.to_pandas()

// Small multiples and ridge lines from the state of a view.
import { factsOf, order } from "../core/order";
import { digits, padded } from "../core/scale";
import { extent } from "../core/tensor";
import type { Frame } from "../draw/list";
import { multiplesFrame, ridgeFrame, type Cell } from "../view/multiples";
import { words } from "./frames";
import type { Model } from "./model";

const MOST_CELLS = 4096;
/** Sorting looks at the spectrum of each row: not of more numbers than this. */
const MOST_SORTED = 4e6;

function withoutMean(wave: Float32Array): Float32Array {
  let [sum, count] = [0, 0];
  for (let i = 0; i < wave.length; i++) {
    if (!Number.isFinite(wave[i])) continue;
    sum += wave[i];
    count++;
  }
  const mean = sum / (count || 1);
  const out = new Float32Array(wave.length);
  for (let i = 0; i < wave.length; i++) out[i] = wave[i] - mean;
  return out;
}

export interface Rows {
  cells: Cell[];
  axis: string;
  notes: string[];
}

/** The axis of small plots and ridge lines. */
export function gridAxis(model: Model): string | undefined {
  const { grid, x } = model.state;
  return grid.value && grid.value !== x.value ? grid.value : model.spec.dims.find((dim) => dim !== x.value);
}

/** The second axis of small multiples, across, where Python named one. */
export function acrossAxis(model: Model): string | null {
  const { columns } = model.spec;
  return columns && columns !== model.state.x.value && columns !== gridAxis(model) ? columns : null;
}

/** One wave for each pair of indices of two axes. */
function pairsOf(model: Model, axis: string, other: string): Rows | null {
  const { x, scope } = model.state;
  return model.once(`pairs/${scope.value}`, model.keyWithout(axis, other, x.value), () => {
    const lines = model.lines([axis, other, x.value]);
    if (!lines) return null;
    const block = lines[0]?.values ?? new Float32Array();
    const [n, wide] = [model.size(x.value), model.size(other)];
    const count = lines.length ? Math.min(model.size(axis), Math.max(1, Math.floor(512 / wide))) * wide : 0;
    const cells = Array.from({ length: count }, (_, id): Cell => {
      const wave = block.subarray(id * n, (id + 1) * n);
      const name = `${axis} ${model.label(axis, Math.floor(id / wide))}, ${other} ${model.label(other, id % wide)}`;
      return { id, name, values: scope.value === "span" ? withoutMean(wave) : wave };
    });
    return { cells, axis, notes: scope.value === "span" ? ["each without its mean, all of one height"] : [] };
  });
}

/** The waves of each index of the grid axis, in the chosen order. */
export function rowsOf(model: Model): Rows | null {
  const { x, sort, scope } = model.state;
  const axis = gridAxis(model);
  if (!axis) return null;
  return model.once(`rows/${sort.value}/${scope.value}`, model.keyWithout(axis, x.value), () => {
    const lines = model.lines([axis, x.value]);
    if (!lines) return null;
    if (!lines.length) return { cells: [], axis, notes: [] };
    const n = model.size(x.value);
    const rows = Array.from({ length: model.size(axis) }, (_, row) => lines[0].values.subarray(row * n, (row + 1) * n));
    const large = lines[0].values.length > MOST_SORTED;
    const sorting = sort.value !== "index" && !large;
    const { facts, k } = sorting ? factsOf(rows) : { facts: [], k: 0 };
    const sorted = sorting ? order(facts, sort.value) : rows.map((_, row) => row);
    const shown = sorted.slice(0, MOST_CELLS);
    const notes = sorted.length > shown.length ? [`the first ${MOST_CELLS} of ${sorted.length} are shown`] : [];
    if (large && sort.value !== "index") notes.push("too many numbers to sort: in the order of the axis");
    if (sorting && sort.value === "phase") notes.push(`phases at k = ${k}, the strongest of all rows together`);
    if (scope.value === "span") notes.push("each without its mean, all of one height");
    if (model.spec.lines.length > 1) notes.push(`shown: ${lines[0].name}`);
    const tail = (row: number) => (!sorting ? "" : sort.value === "share" ? ` · ${(100 * facts[row].share).toFixed(0)} % k=${facts[row].peak}` : sort.value === "size" ? ` · ${digits(facts[row].size)}` : sort.value === "phase" ? ` · ${facts[row].common!.toFixed(2).replace("-", "−")}` : ` · k=${facts[row].peak}`);
    const cells = shown.map((row): Cell => ({ id: row, values: scope.value === "span" ? withoutMean(rows[row]) : rows[row], name: `${axis} ${model.label(axis, row)}${tail(row)}` }));
    return { cells, axis, notes };
  });
}

const cellsExtent = (model: Model, made: Rows) => model.once("cells extent", `${model.state.mode.value}${model.state.sort.value}${model.state.scope.value}${model.keyWithout(made.axis, model.state.x.value)}`, () => extent(...made.cells.map((c) => c.values)));

export function multiples(model: Model, width: number, height: number): Frame | null {
  const [axis, other] = [gridAxis(model), acrossAxis(model)];
  const made = pictures(model) ?? (axis && other ? pairsOf(model, axis, other) : rowsOf(model));
  if (!made || !axis) return null;
  const { cells, notes } = made;
  if (!cells.length) return words(model, width, height, "every line is hidden");
  const shape = "shape" in made ? (made.shape as { rows: number; columns: number }) : null;
  const e = cellsExtent(model, made);
  const paired = !shape && other !== null;
  const selected = model.index[axis].value * (paired ? model.size(other) : 1) + (paired ? model.index[other].value : 0);
  return multiplesFrame({ width, height, theme: model.theme, cells, across: paired ? model.size(other) : 0, picture: shape, y: shape ? [e?.lo ?? 0, e?.hi ?? 1] : padded(e), selected, notes });
}

/** Small pictures over the grid axis when y is an axis of its own, neither x nor grid, and pictures are asked for. */
function pictures(model: Model): (Rows & { shape: { rows: number; columns: number } }) | null {
  const { grid, x, y, play } = model.state;
  const axis = grid.value;
  if (!axis || !y.value || y.value === play.value || [x.value, axis].includes(y.value) || axis === x.value) return null;
  const count = Math.min(model.size(axis), 64);
  return model.once("pictures", model.keyWithout(axis, x.value, y.value), () => {
    const [rows, columns] = [model.size(y.value!), model.size(x.value)];
    const block = model.lines([axis, y.value!, x.value])?.[0]?.values;
    if (!block) return null;
    const cells = Array.from({ length: count }, (_, i): Cell => ({ id: i, name: `${axis} ${model.label(axis, i)}`, values: block.slice(i * rows * columns, (i + 1) * rows * columns) }));
    return { cells, axis, shape: { rows, columns }, notes: model.size(axis) > count ? [`the first ${count} of ${model.size(axis)} are shown`] : [] };
  });
}

export function ridge(model: Model, width: number, height: number): Frame | null {
  const made = rowsOf(model);
  if (!made) return null;
  if (!made.cells.length) return words(model, width, height, "every line is hidden");
  const e = cellsExtent(model, made) ?? { lo: -1, hi: 1 };
  const reach = Math.max(Math.abs(e.lo), Math.abs(e.hi)) || 1;
  const cells = made.cells.map((cell) => ({ ...cell, name: cell.name.slice(made.axis.length + 1) }));
  return ridgeFrame({ width, height, theme: model.theme, cells, xName: model.state.x.value, yName: made.axis, reach, selected: model.index[made.axis].value, notes: made.notes });
}

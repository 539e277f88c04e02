// From the state of a view to a frame.
import { amplitude, phasors, plane, type Phasors, type PlaneQuantity } from "../core/dft";
import { order, rowFacts } from "../core/order";
import { parity } from "../core/parity";
import { digits, padded } from "../core/scale";
import { extent, robustExtent } from "../core/tensor";
import type { Box, Frame, Item, Pane } from "../draw/list";
import { heatFrame, planeFrame } from "../view/heatmap";
import { multiplesFrame, ridgeFrame, type Cell } from "../view/multiples";
import { spectrumFrame, spectrumRange } from "../view/spectrum";
import { waveFrame, type Series } from "../view/wave";
import { toSeries, waveRange, type Line, type Model } from "./model";

const SCOPES = { span: "along play", all: "all slices", axis: "along play", slice: "this slice" };

/** The picture of a view's state at a size. */
export function sceneOf(model: Model, width: number, height: number): Frame {
  return build(model, width, height) ?? words(model, width, height, model.reader.error ?? "reading …");
}

function build(model: Model, width: number, height: number): Frame | null {
  switch (model.state.mode.value) {
    case "wave":
      return waves(model, width, height);
    case "spectrum":
      return spectra(model, width, height);
    case "both": {
      const top = waves(model, width, Math.round(height / 2));
      const below = spectra(model, width, height - Math.round(height / 2));
      return top && below && stacked([top, below]);
    }
    case "heatmap":
      return picture(model, width, height);
    case "spectrum2d":
      return picturePlane(model, width, height);
    case "multiples":
      return multiples(model, width, height);
    case "ridge":
      return ridge(model, width, height);
  }
}

function words(model: Model, width: number, height: number, text: string): Frame {
  const item: Item = { t: "text", x: width / 2, y: height / 2, text, size: 14, fill: model.theme.soft, anchor: "middle" };
  return { width, height, items: [item], panes: [], notes: [] };
}

function moved(item: Item, dy: number): Item {
  switch (item.t) {
    case "line":
    case "dots":
      return { ...item, ys: Array.from(item.ys, (y) => y + dy) };
    case "area":
      return { ...item, ys: Array.from(item.ys, (y) => y + dy), base: item.base + dy };
    case "segments":
      return { ...item, points: item.points.map((v, i) => (i % 2 ? v + dy : v)) };
    case "clip":
      return { ...item, y: item.y + dy, items: item.items.map((inner) => moved(inner, dy)) };
    default:
      return { ...item, y: item.y + dy };
  }
}

export function stacked(frames: Frame[]): Frame {
  let y = 0;
  const out: Frame = { width: frames[0].width, height: 0, items: [], panes: [], notes: [] };
  for (const frame of frames) {
    out.items.push(...frame.items.map((item) => moved(item, y)));
    out.panes.push(...frame.panes.map((pane): Pane => ({ ...pane, box: { ...pane.box, y: pane.box.y + y } })));
    out.notes.push(...frame.notes.filter((note) => !out.notes.includes(note)));
    y += frame.height;
  }
  out.height = y;
  return out;
}

function gaps(lines: Line[]): string[] {
  const count = lines.reduce((sum, line) => sum + line.values.reduce((n, v) => n + (Number.isFinite(v) ? 0 : 1), 0), 0);
  return count ? [`${count} value${count > 1 ? "s" : ""} missing (NaN or inf), drawn as gaps`] : [];
}

function mutedNote(model: Model, left: number): string {
  const mute = model.state.mute.value;
  const which = mute.length > 8 ? `${mute.length} frequencies` : mute.join(", ");
  return `muted: ${which}; ${(100 * left).toFixed(2)} % of the energy is left`;
}

function foldSeries(model: Model, lines: Line[], s: number | null): { ghosts: Series[]; notes: string[] } {
  if (!model.state.fold.value || s === null || !lines.length) return { ghosts: [], notes: [] };
  const { theme } = model;
  const parts = parity(lines[0].values, s);
  const mirrored = parts.even.map((v, i) => parts.mean + v - parts.odd[i]);
  const ghosts: Series[] = [
    { name: "mirrored", colour: theme.mark, dash: [], values: mirrored, width: 4, alpha: 0.22 },
    { name: "even", colour: theme.lines[2], dash: [6, 3], values: parts.even.map((v) => v + parts.mean), width: 1.4, alpha: 0.9 },
    { name: "odd", colour: theme.lines[1], dash: [2, 3], values: parts.odd.map((v) => v + parts.mean), width: 1.4, alpha: 0.9 },
  ];
  return { ghosts, notes: [`even share about the axis ${parts.share.toFixed(4)}: dashes even, dots odd, pale mirrored`] };
}

function ghostsOf(model: Model, lines: Line[]): Series[] {
  const { theme, state } = model;
  const list: Series[] = model.pins.value
    .filter((pin) => pin.values.length === lines[0]?.values.length)
    .map((pin) => ({ ...toSeries(pin), colour: theme.faint, dash: [], width: 2.5, alpha: 0.8 }));
  if (state.trail.value) {
    model.trail.forEach((past, age) =>
      past.filter((line) => line.values.length === lines[0]?.values.length).forEach((line) => list.push({ ...toSeries(line), colour: line.colour, width: 1, alpha: 0.36 - 0.1 * age })),
    );
  }
  return list;
}

function wiped(model: Model, lines: Line[]): Line[] {
  if (model.state.compare.value !== "wipe" || lines.length < 2) return lines;
  const cut = model.wipe.value * lines[0].values.length;
  return [
    { ...lines[0], values: lines[0].values.map((v, i) => (i <= cut ? v : NaN)) },
    { ...lines[1], values: lines[1].values.map((v, i) => (i > cut ? v : NaN)) },
  ];
}

function cursorOf(model: Model, x: string): number | null {
  const shared = model.shared.hover.value;
  if (shared && shared.axis === x && shared.at < model.size(x)) return shared.at;
  return model.active.value === x ? model.index[x].value : null;
}

/** Twice the first symmetry axis: the s of the reflection n -> s - n. */
export function foldPoint(model: Model): number | null {
  const axes = model.axes();
  return axes.length ? 2 * axes[0] : null;
}

function waves(model: Model, width: number, height: number): Frame | null {
  const { state, spec } = model;
  const raw = model.lines();
  if (!raw) return null;
  const x = state.x.value;
  const notes = gaps(raw);
  const muted = state.mute.value.length > 0;
  const heard = raw.map((line) => ({ line, ...model.heard(line.values) }));
  const lines = wiped(model, heard.map(({ line, values }) => ({ ...line, values })));
  if (muted && heard.length) notes.push(mutedNote(model, heard[0].left));
  const axes = model.axes();
  const fold = foldSeries(model, lines, foldPoint(model));
  const ghosts = [...ghostsOf(model, lines), ...fold.ghosts];
  if (muted && heard.length === 1) ghosts.unshift({ ...toSeries(raw[0]), colour: model.theme.faint, width: 1, alpha: 0.55 });
  const relative = model.relativeError();
  if (relative !== null) notes.push(`‖A − B‖ / ‖B‖ = ${digits(relative)} in this slice`);
  const range = model.range([x], [...lines.map((l) => l.values), ...model.pins.value.map((l) => l.values)]);
  const labels = spec.labels[x];
  const coords = spec.coords[x];
  const named = labels || coords ? (v: number) => (Number.isInteger(v) ? (labels?.[v] ?? (coords ? digits(coords[v]) : null)) : null) : undefined;
  return waveFrame({
    width,
    height,
    theme: model.theme,
    n: model.size(x),
    series: lines.map((line) => toSeries(line)),
    ghosts,
    y: waveRange(range),
    xName: x,
    yName: spec.lines.length > 1 ? "" : spec.name,
    label: named,
    centre: state.centre.value && axes.length ? axes[0] : null,
    centreName: spec.symmetry[0],
    symmetry: state.symmetry.value ? axes : [],
    marks: model.marks(),
    cursor: cursorOf(model, x),
    style: model.style,
    notes: [...notes, ...fold.notes],
  });
}

/** Every phasor of the waves of a sweep, for a range that stays still while playing. */
function sweptPhasors(model: Model): Phasors[] | null {
  const along = model.state.play.value;
  const x = model.state.x.value;
  return model.once("phasors", model.keyWithout(along, x), () => {
    const swept = model.sweep(along);
    if (!swept) return null;
    const out: Phasors[] = [];
    for (const waves of swept.waves) {
      const rows = waves.length / swept.n;
      const stride = Math.max(1, Math.ceil((rows * swept.waves.length * swept.n * swept.n) / 4e6));
      for (let row = 0; row < rows; row += stride) out.push(phasors(waves.subarray(row * swept.n, (row + 1) * swept.n)));
    }
    return out;
  });
}

function spectra(model: Model, width: number, height: number): Frame | null {
  const { state, spec } = model;
  const lines = model.lines();
  if (!lines) return null;
  const x = state.x.value;
  const p = model.size(x);
  const voices = lines.map((line) => ({ name: line.name, colour: line.colour, dash: line.dash, phasors: phasors(line.values) }));
  const quantity = state.quantity.value;
  const own = voices.map((v) => v.phasors);
  const y = state.scope.value === "slice" || quantity === "phase" ? spectrumRange(own, quantity) : (model.once(`y/${quantity}`, model.keyWithout(state.play.value, x), () => spectrumRange(sweptPhasors(model) ?? own, quantity)) as [number, number]);
  const hover = model.hover.value;
  const notes = gaps(lines);
  if (state.mute.value.length && lines[0]) notes.push(mutedNote(model, model.heard(lines[0].values).left));
  return spectrumFrame({
    width,
    height,
    theme: model.theme,
    p,
    voices,
    quantity,
    y,
    keys: spec.keys.filter((k) => k <= p / 2),
    sticks: state.sticks.value,
    muted: new Set(state.mute.value),
    hover: hover?.kind === "spectrum" ? hover.x : null,
    name: `frequency k of ${x} (turns per ${p})`,
    notes,
  });
}

/** Pictures show one line only: which. */
const oneOfMany = (model: Model, line: Line): string[] => (model.spec.lines.length > 1 ? [`shown: ${line.name}`] : []);

/** [y, x] values of the line shown in pictures. */
function pictureOf(model: Model): Line | null {
  const { x, y } = model.state;
  if (!y.value || y.value === x.value) return null;
  const lines = model.lines([y.value, x.value]);
  if (!lines?.length) return null;
  if (model.state.compare.value !== "wipe" || lines.length < 2) return lines[0];
  const columns = model.size(x.value);
  const cut = model.wipe.value * columns;
  return { ...lines[0], values: lines[0].values.map((v, i) => (i % columns <= cut ? v : lines[1].values[i])) };
}

const labelled = (model: Model, dim: string) => {
  const labels = model.spec.labels[dim];
  return labels ? (v: number) => labels[v] ?? null : undefined;
};

function picture(model: Model, width: number, height: number): Frame | null {
  const { x, y, scope, robust } = model.state;
  if (!y.value || y.value === x.value) return words(model, width, height, "choose another axis for y");
  const key = model.keyWithout(x.value, y.value) + model.flick.value + model.wipe.value;
  const line = model.once("picture", key, () => pictureOf(model));
  if (!line) return null;
  const e = model.once(`heat/${scope.value}${robust.value}`, key, () => (robust.value ? robustExtent(line.values) : model.range([y.value!, x.value], [line.values]))) ?? { lo: -1, hi: 1 };
  const missing = [...model.once("gaps", key, () => gaps([line])), ...oneOfMany(model, line)];
  return heatFrame({
    width,
    height,
    theme: model.theme,
    values: line.values,
    rows: model.size(y.value),
    columns: model.size(x.value),
    range: e,
    cyclic: model.state.cyclic.value,
    xName: x.value,
    yName: y.value,
    xLabel: labelled(model, x.value),
    yLabel: labelled(model, y.value),
    cross: [model.index[y.value].value, model.index[x.value].value],
    cuts: true,
    barTitle: robust.value ? "mean ± 3 sd" : SCOPES[scope.value],
    notes: missing,
  });
}

/** "a + b = c", and in the order (c, a) "c − a = b". */
function diagonals(model: Model, y: string, x: string): { sum?: string; difference?: string } {
  const pair = [y, x].sort().join("");
  const plus = model.spec.operation === "add";
  if (!model.spec.operation) return {};
  if (pair === "ab") return plus ? { sum: `${y} + ${x} = c` } : { difference: `${y} − ${x}${y === "a" ? " = c" : ""}` };
  if (y !== "c") return {};
  const other = x === "a" ? "b" : "a";
  if (plus) return { difference: `c − ${x} = ${other}` };
  return x === "a" ? { difference: "c − a = −b" } : { sum: "c + b = a" };
}

interface PlaneValues {
  values: Float32Array;
  rows: number;
  columns: number;
  quantity: PlaneQuantity;
}

/** The two-dimensional spectrum of the picture shown. */
export function planeOf(model: Model): PlaneValues | null {
  const { x, y, quantity } = model.state;
  return model.once("plane", model.keyWithout(x.value, y.value) + model.flick.value + model.wipe.value, () => {
    const line = pictureOf(model);
    if (!line || !y.value) return null;
    const [rows, columns] = [model.size(y.value), model.size(x.value)];
    const one: PlaneQuantity = quantity.value === "db" || quantity.value === "phase" ? quantity.value : "amplitude";
    return { values: plane(line.values, rows, columns, one), rows, columns, quantity: one };
  });
}

function picturePlane(model: Model, width: number, height: number): Frame | null {
  const { x, y } = model.state;
  if (!y.value || y.value === x.value) return words(model, width, height, "choose another axis for y");
  const made = planeOf(model);
  if (!made) return null;
  const hover = model.hover.value;
  return planeFrame({ width, height, theme: model.theme, ...made, ...diagonals(model, y.value, x.value), x: x.value, y: y.value, keys: model.spec.keys, hover: hover?.kind === "plane" ? [hover.y, hover.x] : null, notes: [] });
}

const MOST_CELLS = 512;

function withoutMean(wave: Float32Array): Float32Array {
  const finite = wave.filter(Number.isFinite);
  const mean = finite.reduce((sum, v) => sum + v, 0) / (finite.length || 1);
  return wave.map((v) => v - mean);
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
    const block = model.lines([axis, other, x.value])?.[0]?.values;
    if (!block) return null;
    const [n, wide] = [model.size(x.value), model.size(other)];
    const count = Math.min(model.size(axis), Math.max(1, Math.floor(MOST_CELLS / wide))) * wide;
    const cells = Array.from({ length: count }, (_, id): Cell => {
      const wave = block.subarray(id * n, (id + 1) * n);
      const name = `${axis} ${model.label(axis, Math.floor(id / wide))}, ${other} ${model.label(other, id % wide)}`;
      return { id, name, values: scope.value === "span" ? withoutMean(wave) : wave };
    });
    return { cells, axis, notes: scope.value === "span" ? ["each without its mean, all on one scale"] : [] };
  });
}

/** The waves of each index of the grid axis, in the chosen order. */
export function rowsOf(model: Model): Rows | null {
  const { x, sort, scope } = model.state;
  const axis = gridAxis(model);
  if (!axis) return null;
  return model.once(`rows/${sort.value}/${scope.value}`, model.keyWithout(axis, x.value), () => {
    const block = model.lines([axis, x.value])?.[0]?.values;
    if (!block) return null;
    const n = model.size(x.value);
    const rows = Array.from({ length: model.size(axis) }, (_, row) => block.subarray(row * n, (row + 1) * n));
    const waves = scope.value === "span" ? rows.map(withoutMean) : rows;
    const facts = rows.map((wave, row) => rowFacts(wave, row));
    const sorted = order(facts, sort.value);
    const shown = sorted.slice(0, MOST_CELLS);
    const notes = sorted.length > shown.length ? [`the first ${MOST_CELLS} of ${sorted.length} are shown`] : [];
    if (scope.value === "span") notes.push("each without its mean, all on one scale");
    const tail = (row: number) => (sort.value === "index" ? "" : sort.value === "share" ? ` · ${(100 * facts[row].share).toFixed(0)} % k=${facts[row].peak}` : sort.value === "size" ? ` · ${digits(facts[row].size)}` : ` · k=${facts[row].peak}`);
    const cells = shown.map((row): Cell => ({ id: row, values: waves[row], name: `${axis} ${model.label(axis, row)}${tail(row)}` }));
    return { cells, axis, notes };
  });
}

function multiples(model: Model, width: number, height: number): Frame | null {
  const [axis, other] = [gridAxis(model), acrossAxis(model)];
  const made = pictures(model) ?? (axis && other ? pairsOf(model, axis, other) : rowsOf(model));
  if (!made || !axis) return null;
  const { cells, notes } = made;
  const shape = "shape" in made ? (made.shape as { rows: number; columns: number }) : null;
  const e = extent(...cells.map((c) => c.values));
  const paired = !shape && other !== null;
  const selected = model.index[axis].value * (paired ? model.size(other) : 1) + (paired ? model.index[other].value : 0);
  return multiplesFrame({ width, height, theme: model.theme, cells, across: paired ? model.size(other) : 0, picture: shape, y: shape ? [e?.lo ?? 0, e?.hi ?? 1] : padded(e), selected, notes });
}

/** Small pictures over the grid axis when y is an axis of its own, neither x nor grid, and pictures are asked for. */
function pictures(model: Model): { cells: Cell[]; axis: string; notes: string[]; shape: { rows: number; columns: number } } | null {
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

function ridge(model: Model, width: number, height: number): Frame | null {
  const made = rowsOf(model);
  if (!made) return null;
  const e = extent(...made.cells.map((c) => c.values)) ?? { lo: -1, hi: 1 };
  const reach = Math.max(Math.abs(e.lo), Math.abs(e.hi)) || 1;
  const cells = made.cells.map((cell) => ({ ...cell, name: cell.name.slice(made.axis.length + 1) }));
  return ridgeFrame({ width, height, theme: model.theme, cells, xName: model.state.x.value, yName: made.axis, reach, selected: model.index[made.axis].value, notes: made.notes });
}

/** The strongest frequency of the first line, DC left out. */
export function peak(line: Line): number {
  const a = amplitude(phasors(line.values));
  let best = 1;
  for (let k = 2; k < a.length; k++) if (a[k] > a[best]) best = k;
  return best;
}

/** A frame with title, caption and message above, as it is exported. */
export function captioned(model: Model, frame: Frame): Frame {
  const { theme } = model;
  const line = (y: number, text: string, size: number, weight = 400, mono = false): Item => ({ t: "text", x: 14, y, text, size, weight, fill: weight > 400 ? theme.ink : theme.soft, mono });
  const items: Item[] = [line(18, model.spec.title, 15, 650), line(38, model.caption(), 11.5, 400, true)];
  const message = model.message();
  if (message) items.push({ t: "text", x: frame.width - 14, y: 18, text: message, size: 14, weight: 600, fill: theme.mark, anchor: "end" });
  if (frame.notes.length) items.push({ t: "text", x: frame.width - 14, y: 38, text: frame.notes.join("; "), size: 11, fill: theme.soft, anchor: "end" });
  return stacked([{ width: frame.width, height: 50, items, panes: [], notes: [] }, frame]);
}

export const inside = (box: Box, x: number, y: number): boolean => x >= box.x && x <= box.x + box.w && y >= box.y && y <= box.y + box.h;

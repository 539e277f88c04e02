// Heat maps and two-dimensional spectra from the state of a view.
import { planeQuantity, planeSteps, type Plane, type Quantity } from "../core/dft";
import { robustExtent, type Extent } from "../core/tensor";
import type { Frame } from "../draw/list";
import { heatFrame } from "../view/heatmap";
import { planeFrame } from "../view/plane";
import { CELL_MARKS, missingNote, words } from "./frames";
import type { Line, Model, Range } from "./model";

export const SCOPES = { span: "same for every step", all: "same everywhere", axis: "same for every step", slice: "this slice" };

/** Pictures show one line only: which. */
const oneOfMany = (model: Model, line: Line): string[] => (model.spec.lines.length > 1 ? [`shown: ${line.name}`] : []);

/** [y, x] values of the line shown in pictures; undefined where every line is hidden, null while on their way. */
function pictureOf(model: Model): Line | null | undefined {
  const { x, y } = model.state;
  const lines = model.lines([y.value!, x.value]);
  if (!lines) return null;
  if (model.state.compare.value !== "wipe" || lines.length < 2) return lines[0];
  const columns = model.size(x.value);
  const cut = model.wipe.value * columns;
  return { ...lines[0], values: lines[0].values.map((v, i) => (i % columns <= cut ? v : lines[1].values[i])) };
}

export const labelled = (model: Model, dim: string) => {
  const { labels, coords } = model.spec;
  if (!labels[dim] && !coords[dim]) return undefined;
  return (v: number) => (Number.isInteger(v) && v >= 0 && v < model.size(dim) ? model.label(dim, v) : null);
};

/** Whether the values shown are angles: an index that says so is chosen, or the reader asked for cyclic colours. */
function areAngles(model: Model): boolean {
  const { angles } = model.spec;
  return !!angles && model.index[angles.dim].value === angles.at;
}

const shownKey = (model: Model): string => model.keyWithout(model.state.x.value, model.state.y.value) + model.flick.value + model.wipe.value;

export function picture(model: Model, width: number, height: number): Frame | null {
  const { x, y, scope, robust, colours, yscale } = model.state;
  if (!y.value || y.value === x.value) return words(model, width, height, "choose another axis for y");
  const key = shownKey(model);
  const line = model.once("picture", key, () => pictureOf(model));
  if (line === undefined) return words(model, width, height, "every line is hidden");
  if (!line) return null;
  const found = model.once(`heat/${scope.value}${robust.value}`, key, (): Range => (robust.value ? { extent: robustExtent(line.values), over: "slice" } : model.range([y.value!, x.value], [line.values])));
  const extent: Extent = found.extent ?? { lo: -1, hi: 1 };
  const mask = model.mask(line.id, [y.value, x.value]);
  const notes = [...model.once("gaps", key, () => missingNote([line], [mask], CELL_MARKS)), ...oneOfMany(model, line)];
  if (!found.extent) notes.unshift("no numbers in this slice");
  const angles = areAngles(model);
  return heatFrame({
    width,
    height,
    theme: model.theme,
    values: line.values,
    rows: model.size(y.value),
    columns: model.size(x.value),
    range: extent,
    cyclic: angles || (colours.value === "cyclic" && extent.lo >= -3.15 && extent.hi <= 3.15),
    ramp: colours.value === "auto" ? null : colours.value,
    kind: yscale.value,
    knee: kneeOf(extent),
    mask,
    xName: x.value,
    yName: y.value,
    xLabel: labelled(model, x.value),
    yLabel: labelled(model, y.value),
    cross: [model.index[y.value].value, model.index[x.value].value],
    cuts: true,
    barTitle: angles ? "phase (rad)" : robust.value ? "this slice, mean ± 3 sd" : SCOPES[found.over],
    notes,
    window: model.windows.value.heat,
  });
}

/** Where symlog turns from straight to logarithmic: a thousandth of the largest. */
export const kneeOf = (e: Extent): number => Math.max(Math.abs(e.lo), Math.abs(e.hi)) / 1000 || 1;

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
  plane: Plane;
  values: Float32Array;
  rows: number;
  columns: number;
  quantity: Quantity;
}

const SMALL = 40_000;

/** The two-dimensional spectrum of the picture shown; a number from 0 to 1 while it is being made. */
export function planeOf(model: Model): PlaneValues | number | null | undefined {
  const { x, y, quantity } = model.state;
  if (!y.value || y.value === x.value) return null;
  const key = shownKey(model);
  const line = model.once("picture", key, () => pictureOf(model));
  if (!line) return line;
  const [rows, columns] = [model.size(y.value), model.size(x.value)];
  const got = model.jobs.run("plane", key, () => planeSteps(line.values, rows, columns), model.exporting || rows * columns <= SMALL);
  if (!got.done) return got.share;
  const values = model.once("plane quantity", `${key}/${quantity.value}`, () => planeQuantity(got.value, quantity.value));
  return { plane: got.value, values, rows, columns, quantity: quantity.value };
}

export function picturePlane(model: Model, width: number, height: number): Frame | null {
  const { x, y } = model.state;
  if (!y.value || y.value === x.value) return words(model, width, height, "choose another axis for y");
  const made = planeOf(model);
  if (made === undefined) return words(model, width, height, "every line is hidden");
  if (made === null) return null;
  if (typeof made === "number") return words(model, width, height, `transforming … ${Math.round(100 * made)} %`);
  const hover = model.hover.value;
  const line = model.once("picture", shownKey(model), () => pictureOf(model))!;
  const notes = [...missingNote([line], [model.mask(line.id, [y.value, x.value])], { nan: "as the mean", up: "as the mean", down: "as the mean", masked: "as the mean" }), ...oneOfMany(model, line)];
  const residues = model.isResidues(x.value) && model.isResidues(y.value);
  return planeFrame({
    width,
    height,
    theme: model.theme,
    ...made,
    ...(residues ? diagonals(model, y.value, x.value) : {}),
    x: x.value,
    y: y.value,
    keys: residues ? model.spec.keys : [],
    hover: hover?.kind === "plane" ? [hover.y, hover.x] : null,
    notes,
    window: model.windows.value.plane,
  });
}

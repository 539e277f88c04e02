// Pictures of two axes: square cells, cross-hair with cuts, colour bar.
import { colourScale, css, pixels, placeOf, rampOf, type ColourScale, type RampName, type Theme } from "../core/colour";
import { thinned } from "../core/decimate";
import { logTicks, scaled, tickFormat, tickValues, type Kind, type Scale } from "../core/scale";
import type { Box, Frame, Item } from "../draw/list";
import { plot, xAxis, yAxis, type Plot } from "./axes";

export { planeFrame, type PlaneScene } from "./plane";

export interface HeatScene {
  width: number;
  height: number;
  theme: Theme;
  values: Float32Array;
  rows: number;
  columns: number;
  range: { lo: number; hi: number };
  cyclic: boolean;
  xName: string;
  yName: string;
  xLabel?: (v: number) => string | null;
  yLabel?: (v: number) => string | null;
  /** [row, column] */
  cross: [number, number] | null;
  cuts: boolean;
  barTitle: string;
  notes: string[];
  /** Instead of the colours that the signs of the range ask for. */
  ramp?: RampName | null;
  kind?: Kind;
  knee?: number;
  mask?: Uint8Array | null;
  window?: { x?: [number, number]; y?: [number, number] };
}

interface Coloured {
  key: string;
  rgba: Uint8ClampedArray;
  clipped: number;
  rows: number;
  columns: number;
  by: number;
}

const drawn = new WeakMap<Float32Array, Coloured>();

const whole = { rows: Infinity, columns: Infinity };

/** Pixels of a picture, kept with it while the colours stay; at most so many, where there are more cells than that. */
export function coloured(values: Float32Array, columns: number, scale: ColourScale, dark: boolean, most = whole, mask: Uint8Array | null = null): Coloured {
  const rows = Math.floor(values.length / columns);
  const by = Math.max(1, Math.ceil(rows / most.rows), Math.ceil(columns / most.columns));
  const key = `${scale.ramp} ${scale.lo} ${scale.hi} ${scale.kind} ${scale.knee} ${dark} ${by}`;
  const known = drawn.get(values);
  if (known?.key === key) return known;
  const middle = scale.ramp === "diverging" ? 0 : (scale.lo + scale.hi) / 2;
  const small = by > 1 ? thinned(values, rows, columns, most, middle) : { values, rows, columns, by };
  const made = { key, ...pixels(small.values, scale, rampOf(scale.ramp, dark), small.columns, by > 1 ? null : mask), rows: small.rows, columns: small.columns, by };
  drawn.set(values, made);
  return made;
}

const BAR = 64;
/** Beyond this ratio of rows to columns cells are no longer square. */
const SQUARE = 8;

export function layout(scene: { width: number; height: number; rows: number; columns: number; cuts: boolean; left?: number }): { box: Box; side: number } {
  const side = scene.cuts && scene.width > 340 ? Math.max(44, Math.min(90, scene.height * 0.17)) : 0;
  const left = scene.left ?? 56;
  const room = { w: Math.max(30, scene.width - left - BAR - 24 - side), h: Math.max(30, scene.height - 44 - 12 - side) };
  let [w, h] = [room.w, room.h];
  const ratio = scene.columns / scene.rows;
  if (ratio <= SQUARE && ratio >= 1 / SQUARE) {
    const cell = Math.min(room.w / scene.columns, room.h / scene.rows);
    [w, h] = [cell * scene.columns, cell * scene.rows];
  }
  const x = left + Math.max(0, (room.w - w) / 2);
  return { box: { x, y: 10 + side, w, h }, side };
}

const strips = new Map<string, Uint8ClampedArray>();

/** A ramp from its top down, made once. */
function stripOf(ramp: RampName, dark: boolean): Uint8ClampedArray {
  const key = `${ramp} ${dark}`;
  const found = strips.get(key);
  if (found) return found;
  const table = rampOf(ramp, dark);
  const rgba = new Uint8ClampedArray(256 * 4);
  for (let i = 0; i < 256; i++) {
    rgba.set([table[3 * (255 - i)], table[3 * (255 - i) + 1], table[3 * (255 - i) + 2], 255], 4 * i);
  }
  strips.set(key, rgba);
  return rgba;
}

export function colourBar(box: Box, scale: ColourScale, theme: Theme, title: string): Item[] {
  const rgba = stripOf(scale.ramp, theme.dark);
  const kind = scale.kind ?? "linear";
  const y = scaled(kind, [scale.lo, scale.hi], [box.y + box.h, box.y], scale.knee);
  const angles = scale.ramp === "cyclic" && Math.abs(scale.hi - Math.PI) < 1e-6;
  const most = Math.max(2, box.h / 44);
  const values = angles ? [-Math.PI, 0, Math.PI] : kind === "linear" ? tickValues([scale.lo, scale.hi], most) : logTicks(kind, [scale.lo, scale.hi], most, scale.knee);
  const write = angles ? (v: number) => (v === 0 ? "0" : v < 0 ? "−π" : "π") : kind === "linear" ? tickFormat(values) : (v: number) => (v === 0 ? "0" : v.toExponential(0).replace("e+", "e"));
  const items: Item[] = [
    { t: "image", x: box.x, y: box.y, w: box.w, h: box.h, columns: 1, rows: 256, rgba },
    { t: "rect", x: box.x, y: box.y, w: box.w, h: box.h, stroke: theme.faint, width: 0.75 },
    { t: "text", x: box.x + box.w / 2 + 46, y: box.y + box.h / 2, text: title, size: 11, fill: theme.soft, anchor: "middle", turn: -90 },
  ];
  for (const v of values) items.push({ t: "text", x: box.x + box.w + 6, y: y(v), text: write(v).replace("-", "−"), size: 11, fill: theme.soft });
  return items;
}

function cuts(scene: HeatScene, p: Plot, side: number, scale: ColourScale): Item[] {
  const [row, column] = scene.cross!;
  const { theme, values, columns, rows } = scene;
  const { box } = p;
  const kind = scale.kind ?? "linear";
  const range: [number, number] = [scale.lo, scale.hi];
  const up: Scale = scaled(kind, range, [box.y - 8, box.y - side], scale.knee);
  const out: Scale = scaled(kind, range, [box.x + box.w + 8, box.x + box.w + side], scale.knee);
  const [low, high] = [Math.max(0, Math.ceil(p.x.domain[0])), Math.min(columns - 1, Math.floor(p.x.domain[1]))];
  const [top, bottom] = [Math.max(0, Math.ceil(Math.min(...p.y.domain))), Math.min(rows - 1, Math.floor(Math.max(...p.y.domain)))];
  const across = Array.from({ length: high - low + 1 }, (_, i) => values[row * columns + low + i]);
  const down = Array.from({ length: bottom - top + 1 }, (_, i) => values[(top + i) * columns + column]);
  return [
    { t: "segments", points: [p.x(column), box.y - side, p.x(column), box.y + box.h, box.x, p.y(row), box.x + box.w + side, p.y(row)], stroke: theme.ink, width: 1, alpha: 0.45 },
    { t: "line", xs: across.map((_, i) => p.x(low + i)), ys: across.map(up), stroke: theme.lines[0], width: 1.25 },
    { t: "line", xs: down.map(out), ys: down.map((_, i) => p.y(top + i)), stroke: theme.lines[1], width: 1.25 },
    { t: "dots", xs: [p.x(column)], ys: [up(values[row * columns + column])], r: 3, fill: theme.lines[0] },
    { t: "dots", xs: [out(values[row * columns + column])], ys: [p.y(row)], r: 3, fill: theme.lines[1] },
  ];
}

const MOST_MARKS = 4000;

/** A cross, an arrow or a stroke in cells without a number, where cells are large enough to see one. */
function missingMarks(scene: HeatScene, p: Plot): Item[] {
  const { values, rows, columns, mask } = scene;
  const cell = Math.min(Math.abs(p.x(1) - p.x(0)), Math.abs(p.y(1) - p.y(0)));
  if (cell < 6) return [];
  const r = Math.min(5, cell / 3.4);
  const [light, soft]: number[][] = [[], []];
  for (let i = 0; i < rows * columns && light.length + soft.length < MOST_MARKS; i++) {
    if (Number.isFinite(values[i])) continue;
    const [x, y] = [p.x(i % columns), p.y(Math.floor(i / columns))];
    if (mask?.[i]) soft.push(x - r, y + r, x + r, y - r);
    else if (Number.isNaN(values[i])) light.push(x - r, y - r, x + r, y + r, x - r, y + r, x + r, y - r);
    else {
      const s = values[i] > 0 ? 1 : -1;
      light.push(x - r, y + s * r * 0.6, x, y - s * r * 0.6, x, y - s * r * 0.6, x + r, y + s * r * 0.6);
    }
  }
  return [
    { t: "segments", points: light, stroke: "#ffffff", width: 1.5 },
    { t: "segments", points: soft, stroke: scene.theme.faint, width: 1 },
  ];
}

/** The colours of a picture: chosen, or by the signs of its range. */
export function scaleOf(range: { lo: number; hi: number }, ramp: RampName | null | undefined, kind: Kind = "linear", knee = 1, angles = false): ColourScale {
  if (ramp === "cyclic" && angles) return colourScale(0, 0, true);
  const plain = colourScale(range.lo, range.hi);
  const bent = kind === "linear" ? {} : { kind, knee };
  if (kind === "log") return { ramp: ramp && ramp !== "diverging" ? ramp : "sequential", lo: range.lo > 0 ? range.lo : range.hi > 0 ? range.hi * 1e-6 : 1e-6, hi: range.hi > 0 ? range.hi : 1, ...bent };
  if (!ramp) return { ...plain, ...bent };
  if (ramp === "diverging") {
    const reach = Math.max(Math.abs(range.lo), Math.abs(range.hi)) || 1;
    return { ramp, lo: -reach, hi: reach, ...bent };
  }
  return { ramp, lo: range.lo, hi: range.hi > range.lo ? range.hi : range.lo + 1, ...bent };
}

/** A frame with one picture, row 0 on top. */
export function heatFrame(scene: HeatScene): Frame {
  const { theme, columns, rows, width, height } = scene;
  const { box, side } = layout(scene);
  const scale = scaleOf(scene.range, scene.cyclic ? "cyclic" : scene.ramp, scene.kind, scene.knee, scene.cyclic);
  const x: [number, number] = scene.window?.x ?? [-0.5, columns - 0.5];
  const y: [number, number] = scene.window?.y ?? [rows - 0.5, -0.5];
  const p = plot(box, x, y);
  const zoom = { x: columns / Math.abs(x[1] - x[0]), y: rows / Math.abs(y[1] - y[0]) };
  const most = { rows: Math.ceil(2 * box.h * zoom.y), columns: Math.ceil(2 * box.w * zoom.x) };
  const made = coloured(scene.values, columns, scale, theme.dark, most, scene.mask ?? null);
  const [x0, y0] = [p.x(-0.5), p.y(-0.5)];
  const picture: Item = { t: "image", x: x0, y: y0, w: p.x(made.columns * made.by - 0.5) - x0, h: p.y(made.rows * made.by - 0.5) - y0, columns: made.columns, rows: made.rows, rgba: made.rgba };
  const items: Item[] = [
    // What stays while the picture moves comes first: the canvas draws it once.
    ...xAxis(p, theme, { name: scene.xName, label: scene.xLabel, integers: true }),
    ...yAxis(p, theme, { label: scene.yLabel, integers: true }, false),
    { t: "text", x: box.x - 42, y: box.y + box.h / 2, text: scene.yName, size: 12, fill: theme.ink, anchor: "middle", turn: -90 },
    ...colourBar({ x: box.x + box.w + side + 16, y: box.y, w: 12, h: box.h }, scale, theme, scene.barTitle),
    { t: "clip", ...box, items: [picture, ...missingMarks(scene, p)] },
    { t: "rect", ...box, stroke: theme.faint, width: 0.75 },
  ];
  if (scene.cross && side) items.push(...cuts(scene, p, side, scale));
  const notes = [...scene.notes];
  if (made.clipped) notes.push(`${made.clipped} cells beyond the colours (hatched)`);
  if (made.by > 1) notes.push(`each dot is the extreme one of ${made.by} × ${made.by} cells`);
  return { width, height, items, panes: [{ kind: "heat", box, x: p.x.domain, y: p.y.domain }], notes };
}

export const swatch = (scale: ColourScale, v: number, dark: boolean): string => css(rampOf(scale.ramp, dark), placeOf(scale)(v));

// Pictures of two axes: square cells, cross-hair with cuts, colour bar; and the two-dimensional spectrum.
import { colourScale, css, pixels, rampOf, type ColourScale, type Theme } from "../core/colour";
import { linear, tickFormat, tickValues, type Scale } from "../core/scale";
import type { PlaneQuantity } from "../core/dft";
import { extent, type Extent } from "../core/tensor";
import type { Box, Frame, Item } from "../draw/list";
import { plot, xAxis, yAxis, type Plot } from "./axes";

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
}

const drawn = new WeakMap<Float32Array, { key: string; rgba: Uint8ClampedArray; clipped: number }>();

/** Pixels of a picture, kept with it while the colours stay. */
export function coloured(values: Float32Array, columns: number, scale: ColourScale, dark: boolean): { rgba: Uint8ClampedArray; clipped: number } {
  const key = `${scale.ramp} ${scale.lo} ${scale.hi} ${dark}`;
  const known = drawn.get(values);
  if (known?.key === key) return known;
  const made = { key, ...pixels(values, scale, rampOf(scale.ramp, dark), columns) };
  drawn.set(values, made);
  return made;
}

const BAR = 64;

function layout(scene: { width: number; height: number; rows: number; columns: number; cuts: boolean }): { box: Box; top: number; side: number } {
  const cut = scene.cuts ? Math.max(44, Math.min(90, scene.height * 0.17)) : 0;
  const left = 56;
  const room = { w: scene.width - left - BAR - 24 - cut, h: scene.height - 44 - 12 - cut };
  const cell = Math.max(0.25, Math.min(room.w / scene.columns, room.h / scene.rows));
  const [w, h] = [cell * scene.columns, cell * scene.rows];
  const x = left + Math.max(0, (room.w - w) / 2);
  return { box: { x, y: 10 + cut, w, h }, top: cut, side: cut };
}

function colourBar(box: Box, scale: ColourScale, theme: Theme, title: string): Item[] {
  const table = rampOf(scale.ramp, theme.dark);
  const rgba = new Uint8ClampedArray(256 * 4);
  for (let i = 0; i < 256; i++) {
    rgba.set([table[3 * (255 - i)], table[3 * (255 - i) + 1], table[3 * (255 - i) + 2], 255], 4 * i);
  }
  const y = linear([scale.lo, scale.hi], [box.y + box.h, box.y]);
  const values = scale.ramp === "cyclic" ? [-Math.PI, 0, Math.PI] : tickValues([scale.lo, scale.hi], Math.max(2, box.h / 44));
  const write = scale.ramp === "cyclic" ? (v: number) => (v === 0 ? "0" : v < 0 ? "−π" : "π") : tickFormat(values);
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
  const across = Array.from({ length: columns }, (_, i) => values[row * columns + i]);
  const down = Array.from({ length: rows }, (_, i) => values[i * columns + column]);
  const range: [number, number] = [scale.lo, scale.hi];
  const up: Scale = linear(range, [box.y - 8, box.y - side]);
  const out: Scale = linear(range, [box.x + box.w + 8, box.x + box.w + side]);
  return [
    { t: "segments", points: [p.x(column), box.y - side, p.x(column), box.y + box.h, box.x, p.y(row), box.x + box.w + side, p.y(row)], stroke: theme.ink, width: 1, alpha: 0.45 },
    { t: "line", xs: across.map((_, i) => p.x(i)), ys: across.map(up), stroke: theme.lines[0], width: 1.25 },
    { t: "line", xs: down.map(out), ys: down.map((_, i) => p.y(i)), stroke: theme.lines[1], width: 1.25 },
    { t: "dots", xs: [p.x(column)], ys: [up(across[column])], r: 3, fill: theme.lines[0] },
    { t: "dots", xs: [out(down[row])], ys: [p.y(row)], r: 3, fill: theme.lines[1] },
  ];
}

/** A frame with one picture, row 0 on top. */
export function heatFrame(scene: HeatScene): Frame {
  const { theme, columns, rows, width, height } = scene;
  const { box, side } = layout(scene);
  const scale = colourScale(scene.range.lo, scene.range.hi, scene.cyclic);
  const p = plot(box, [-0.5, columns - 0.5], [rows - 0.5, -0.5]);
  const { rgba, clipped } = coloured(scene.values, columns, scale, theme.dark);
  const items: Item[] = [
    { t: "image", ...box, columns, rows, rgba },
    { t: "rect", ...box, stroke: theme.faint, width: 0.75 },
    ...xAxis(p, theme, { name: scene.xName, label: scene.xLabel, integers: true }),
    ...yAxis(p, theme, { label: scene.yLabel, integers: true }, false),
    { t: "text", x: box.x - 42, y: box.y + box.h / 2, text: scene.yName, size: 12, fill: theme.ink, anchor: "middle", turn: -90 },
    ...colourBar({ x: box.x + box.w + side + 16, y: box.y, w: 12, h: box.h }, scale, theme, scene.barTitle),
  ];
  if (scene.cross && scene.cuts) items.push(...cuts(scene, p, side, scale));
  const notes = [...scene.notes];
  if (clipped) notes.push(`${clipped} cells beyond the colours (hatched)`);
  return { width, height, items, panes: [{ kind: "heat", box, x: p.x.domain, y: p.y.domain }], notes };
}

export interface PlaneScene {
  width: number;
  height: number;
  theme: Theme;
  /** [rows, columns] with signed, centred frequencies. */
  values: Float32Array;
  quantity: PlaneQuantity;
  rows: number;
  columns: number;
  /** What the diagonals stand for, where it has a name of its own. */
  sum?: string;
  difference?: string;
  /** Names of the two axes transformed. */
  x: string;
  y: string;
  keys: readonly number[];
  hover: [number, number] | null;
  notes: string[];
}

/** The two-dimensional spectrum: DC in the middle (left out of the colours), the diagonals named. */
export function planeFrame(scene: PlaneScene): Frame {
  const { theme, rows, columns, width, height } = scene;
  const { box } = layout({ ...scene, cuts: false });
  const [cy, cx] = [rows >> 1, columns >> 1];
  const e = extent(scene.values.map((v, i) => (i === cy * columns + cx ? NaN : v))) ?? { lo: 0, hi: 1 };
  const scale = planeScale(scene.quantity, e);
  const p = plot(box, [-cx - 0.5, columns - cx - 0.5], [-cy - 0.5, rows - cy - 0.5]);
  const flipped = flip(scene.values, rows, columns);
  const { rgba } = coloured(flipped, columns, scale, theme.dark);
  const reach = Math.min(cx, cy);
  const diagonals = [p.x(-reach), p.y(-reach), p.x(reach), p.y(reach), p.x(-reach), p.y(reach), p.x(reach), p.y(-reach)];
  const name = (k: number, text: string): Item => ({ t: "text", x: p.x(k), y: p.y(reach * 0.93), text, size: 12, weight: 600, fill: theme.mark, anchor: "middle", halo: theme.ground });
  const keyTicks = scene.keys.flatMap((k) => [k, -k]).filter((k) => Math.abs(k) <= cx);
  const look = keyTicks.length ? { values: [0, ...keyTicks].sort((a, b) => a - b) } : { integers: true };
  const items: Item[] = [
    { t: "image", ...box, columns, rows, rgba },
    { t: "rect", ...box, stroke: theme.faint, width: 0.75 },
    { t: "segments", points: diagonals, stroke: theme.mark, width: 1, dash: [4, 5], alpha: 0.5 },
    { t: "segments", points: [p.x(0), box.y, p.x(0), box.y + box.h, box.x, p.y(0), box.x + box.w, p.y(0)], stroke: theme.faint, width: 1, dash: [2, 4], alpha: 0.7 },
    name(reach * 0.84, scene.sum ?? `${scene.y} + ${scene.x}`),
    name(-reach * 0.84, scene.difference ?? `${scene.y} − ${scene.x}`),
    ...xAxis(p, theme, { ...look, name: `frequency of ${scene.x}` }),
    ...yAxis(p, theme, look, false),
    { t: "text", x: box.x - 42, y: box.y + box.h / 2, text: `frequency of ${scene.y}`, size: 12, fill: theme.ink, anchor: "middle", turn: -90 },
    ...colourBar({ x: box.x + box.w + 16, y: box.y, w: 12, h: box.h }, scale, theme, `${{ amplitude: "amplitude", db: "dB", phase: "phase" }[scene.quantity]}, this slice`),
  ];
  if (scene.hover) items.push({ t: "dots", xs: [p.x(scene.hover[1])], ys: [p.y(scene.hover[0])], r: 6, fill: "transparent", stroke: theme.mark, width: 1.5 });
  return { width, height, items, panes: [{ kind: "plane", box, x: p.x.domain, y: p.y.domain }], notes: scene.notes };
}

function planeScale(quantity: PlaneQuantity, e: Extent): ColourScale {
  if (quantity === "phase") return colourScale(0, 0, true);
  if (quantity === "db") return { ramp: "sequential", lo: Math.max(e.lo, e.hi - 80), hi: e.hi };
  return { ramp: "sequential", lo: 0, hi: e.hi || 1 };
}

const flips = new WeakMap<Float32Array, Float32Array>();

function flip(values: Float32Array, rows: number, columns: number): Float32Array {
  let out = flips.get(values);
  if (!out) {
    out = new Float32Array(values.length);
    for (let y = 0; y < rows; y++) out.set(values.subarray(y * columns, (y + 1) * columns), (rows - 1 - y) * columns);
    flips.set(values, out);
  }
  return out;
}

export const swatch = (scale: ColourScale, v: number, dark: boolean): string => css(rampOf(scale.ramp, dark), (v - scale.lo) / (scale.hi - scale.lo));

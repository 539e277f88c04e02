// The two-dimensional spectrum: signed frequencies of two axes, the diagonals named.
import { colourScale, type ColourScale, type Theme } from "../core/colour";
import type { Quantity } from "../core/dft";
import { extent, type Extent } from "../core/tensor";
import { textWidth, type Frame, type Item } from "../draw/list";
import { plot, xAxis, yAxis } from "./axes";
import { coloured, colourBar, layout } from "./heatmap";

export interface PlaneScene {
  width: number;
  height: number;
  theme: Theme;
  /** [rows, columns] with signed, centred frequencies. */
  values: Float32Array;
  quantity: Quantity;
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
  window?: { x?: [number, number]; y?: [number, number] };
}

export const PLANE_QUANTITIES: Record<Quantity, string> = {
  amplitude: "amplitude A of the wave",
  power: "power of the wave",
  db: "power (dB)",
  phase: "phase (rad)",
  cossin: "coefficient of the cosine",
  share: "share of energy (mean left out)",
};

/** DC stands in the middle and is left out of the colours. */
export function planeFrame(scene: PlaneScene): Frame {
  const { theme, rows, columns, width, height } = scene;
  const { box } = layout({ ...scene, cuts: false });
  const [cy, cx] = [rows >> 1, columns >> 1];
  const e = extentWithoutMean(scene.values, cy * columns + cx);
  const scale = planeScale(scene.quantity, e);
  const p = plot(box, scene.window?.x ?? [-cx - 0.5, columns - cx - 0.5], scene.window?.y ?? [-cy - 0.5, rows - cy - 0.5]);
  const flipped = flip(scene.values, rows, columns);
  const zoom = { x: columns / (p.x.domain[1] - p.x.domain[0]), y: rows / (p.y.domain[1] - p.y.domain[0]) };
  const made = coloured(flipped, columns, scale, theme.dark, { rows: Math.ceil(2 * box.h * zoom.y), columns: Math.ceil(2 * box.w * zoom.x) });
  const [left, top] = [p.x(-cx - 0.5), p.y(rows - cy - 0.5)];
  const picture: Item = { t: "image", x: left, y: top, w: p.x(-cx - 0.5 + made.columns * made.by) - left, h: p.y(rows - cy - 0.5 - made.rows * made.by) - top, columns: made.columns, rows: made.rows, rgba: made.rgba };
  const reach = Math.min(cx, cy);
  const diagonals = [p.x(-reach), p.y(-reach), p.x(reach), p.y(reach), p.x(-reach), p.y(reach), p.x(reach), p.y(-reach)];
  const name = (k: number, text: string): Item => {
    const half = textWidth(text, 12) / 2;
    const at = Math.max(box.x + half, Math.min(box.x + box.w - half, p.x(k)));
    return { t: "text", x: at, y: p.y(reach * 0.93), text, size: 12, weight: 600, fill: theme.mark, anchor: "middle", halo: theme.ground };
  };
  const ticks = (most: number) => {
    const values = scene.keys.flatMap((k) => [k, -k]).filter((k) => Math.abs(k) <= most);
    return values.length ? { values: [0, ...values].sort((a, b) => a - b) } : { integers: true };
  };
  const inside: Item[] = [
    picture,
    { t: "segments", points: diagonals, stroke: theme.mark, width: 1, dash: [4, 5], alpha: 0.5 },
    { t: "segments", points: [p.x(0), box.y, p.x(0), box.y + box.h, box.x, p.y(0), box.x + box.w, p.y(0)], stroke: theme.faint, width: 1, dash: [2, 4], alpha: 0.7 },
  ];
  if (reach >= 1) inside.push(name(reach * 0.84, scene.sum ?? `${scene.y} + ${scene.x}`), name(-reach * 0.84, scene.difference ?? `${scene.y} − ${scene.x}`));
  const items: Item[] = [
    { t: "clip", ...box, items: inside },
    { t: "rect", ...box, stroke: theme.faint, width: 0.75 },
    ...xAxis(p, theme, { ...ticks(cx), name: `frequency of ${scene.x}` }),
    ...yAxis(p, theme, ticks(cy), false),
    { t: "text", x: box.x - 42, y: box.y + box.h / 2, text: `frequency of ${scene.y}`, size: 12, fill: theme.ink, anchor: "middle", turn: -90 },
    ...colourBar({ x: box.x + box.w + 16, y: box.y, w: 12, h: box.h }, scale, theme, `${PLANE_QUANTITIES[scene.quantity]}, this slice`),
  ];
  if (scene.hover) items.push({ t: "dots", xs: [p.x(scene.hover[1])], ys: [p.y(scene.hover[0])], r: 6, fill: "transparent", stroke: theme.mark, width: 1.5 });
  const notes = [...scene.notes, "a wave lies at (k, l) and at (−k, −l)"];
  if (made.by > 1) notes.push(`each dot is the largest of ${made.by} × ${made.by} frequencies`);
  return { width, height, items, panes: [{ kind: "plane", box, x: p.x.domain, y: p.y.domain }], notes };
}

function extentWithoutMean(values: Float32Array, mean: number): Extent {
  const kept = values[mean];
  values[mean] = NaN;
  const e = extent(values) ?? { lo: 0, hi: 1 };
  values[mean] = kept;
  return e;
}

function planeScale(quantity: Quantity, e: Extent): ColourScale {
  if (quantity === "phase") return colourScale(0, 0, true);
  if (quantity === "db") return { ramp: "sequential", lo: Math.max(e.lo, e.hi - 80), hi: e.hi };
  if (quantity === "cossin") {
    const reach = Math.max(-e.lo, e.hi) || 1;
    return { ramp: "diverging", lo: -reach, hi: reach };
  }
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

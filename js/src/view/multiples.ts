// Small multiples and ridge lines over an axis.
import { colourScale, type Theme } from "../core/colour";
import { linear } from "../core/scale";
import type { Frame, Item, Pane } from "../draw/list";
import { coloured } from "./heatmap";
import { plot, xAxis, type Plot } from "./axes";
import { cut } from "./labels";
import { decimated } from "../core/decimate";

export interface Cell {
  id: number;
  name: string;
  /** A wave, or with rows and columns a picture. */
  values: Float32Array;
}

export interface MultiplesScene {
  width: number;
  height: number;
  theme: Theme;
  cells: Cell[];
  /** 0 chooses. */
  across: number;
  /** Shape of a picture; null draws waves. */
  picture: { rows: number; columns: number } | null;
  y: [number, number];
  selected: number | null;
  notes: string[];
}

/** How many columns let cells of this aspect (width over height) be largest. */
export function columnsFor(count: number, width: number, height: number, aspect: number): number {
  let best = 1;
  let largest = 0;
  for (let columns = 1; columns <= count; columns++) {
    const w = width / columns;
    const h = height / Math.ceil(count / columns);
    const size = Math.min(w, h * aspect);
    if (size > largest) [largest, best] = [size, columns];
  }
  return best;
}

const HEAD = 15;

/** The line of a wave in pixels. */
function lineOf(values: Float32Array, { box, x, y }: Plot): { xs: ArrayLike<number>; ys: ArrayLike<number> } {
  const n = values.length;
  const [xs, ys] = [new Float64Array(n), new Float64Array(n)];
  const [x0, y0] = [x(0), y(0)];
  const [right, up] = [x(1) - x0, y(1) - y0];
  for (let i = 0; i < n; i++) {
    xs[i] = x0 + i * right;
    ys[i] = y0 + values[i] * up;
  }
  return decimated(xs, ys, Math.round(box.w));
}

/** What stays of a cell while it moves (panel, name), and what moves. */
function cellItems(cell: Cell, scene: MultiplesScene, x: number, y: number, w: number, h: number): { still: Item[]; items: Item[]; pane: Pane } {
  const { theme } = scene;
  const gap = Math.min(8, w * 0.06);
  let box = { x: x + gap / 2, y: y + HEAD, w: w - gap, h: Math.max(4, h - HEAD - gap) };
  const [still, items]: Item[][] = [[], []];
  if (scene.picture) {
    const { rows, columns } = scene.picture;
    const side = Math.min(box.w / columns, box.h / rows);
    box = { x: box.x + (box.w - side * columns) / 2, y: box.y, w: side * columns, h: side * rows };
    const scale = colourScale(scene.y[0], scene.y[1]);
    items.push({ t: "image", ...box, columns, rows, rgba: coloured(cell.values, columns, scale, theme.dark).rgba });
  } else {
    const p = plot(box, [-0.5, cell.values.length - 0.5], scene.y);
    still.push({ t: "rect", ...box, fill: theme.panel, radius: 3 });
    const thin = lineOf(cell.values, p);
    if (scene.y[0] < 0 && scene.y[1] > 0) items.push({ t: "segments", points: [box.x, p.y(0), box.x + box.w, p.y(0)], stroke: theme.grid });
    items.push({ t: "line", ...thin, stroke: theme.lines[0], width: 1 });
  }
  const chosen = cell.id === scene.selected;
  if (chosen) items.push({ t: "rect", ...box, stroke: theme.mark, width: 2, radius: 3 });
  still.push({ t: "text", x: box.x + 1, y: y + HEAD / 2, text: cut(cell.name, w - 4, 10.5), size: 10.5, weight: chosen ? 700 : 400, fill: chosen ? theme.mark : theme.soft });
  return { still, items, pane: { kind: "cell", box, x: [-0.5, cell.values.length - 0.5], y: scene.y, id: cell.id } };
}

/** Below these a small plot says nothing. */
const LEAST = { w: 62, h: 46 };

/** Every k-th, so that so many are left; the selected one stays. */
export function everyKth<T extends { id: number }>(list: T[], most: number, selected: number | null): { list: T[]; by: number } {
  const by = Math.max(1, Math.ceil(list.length / Math.max(1, most)));
  if (by === 1) return { list, by };
  const at = list.findIndex((one) => one.id === selected);
  return { list: list.filter((_, i) => (at >= 0 && Math.floor(i / by) === Math.floor(at / by) ? i === at : i % by === 0)), by };
}

export const thinNote = (shown: number, all: number, by: number): string[] => (by > 1 ? [`every ${by}${by === 2 ? "nd" : by === 3 ? "rd" : "th"} is drawn: ${shown} of ${all}; a taller or wider picture shows more`] : []);

/** One small plot a cell, all on one scale; where there is no room for all, every k-th. */
export function multiplesFrame(scene: MultiplesScene): Frame {
  const { width, height } = scene;
  const most = Math.max(1, Math.floor(width / LEAST.w)) * Math.max(1, Math.floor(height / LEAST.h));
  const { list: cells, by } = scene.across ? { list: scene.cells, by: 1 } : everyKth(scene.cells, most, scene.selected);
  const aspect = scene.picture ? scene.picture.columns / scene.picture.rows : 1.7;
  const across = scene.across || columnsFor(cells.length, width, height, aspect);
  const down = Math.max(1, Math.ceil(cells.length / across));
  const [w, h] = [width / across, height / down];
  const [still, items]: Item[][] = [[], []];
  const panes: Pane[] = [];
  cells.forEach((cell, i) => {
    const made = cellItems(cell, scene, (i % across) * w, Math.floor(i / across) * h, w, h);
    still.push(...made.still);
    items.push(...made.items);
    panes.push(made.pane);
  });
  return { width, height, items: [...still, ...items], panes, notes: [...scene.notes, ...thinNote(cells.length, scene.cells.length, by)] };
}

export interface RidgeScene {
  width: number;
  height: number;
  theme: Theme;
  cells: Cell[];
  xName: string;
  yName: string;
  reach: number;
  selected: number | null;
  notes: string[];
}

/** Base lines nearer than this cannot be told apart. */
const PITCH = 4;

/** Lines of a whole axis stacked, each on its own base line; rows nearer the reader cover those behind. */
export function ridgeFrame(scene: RidgeScene): Frame {
  const { width, height, theme } = scene;
  const box = { x: 64, y: 26, w: Math.max(40, width - 64 - 16), h: Math.max(40, height - 26 - 44) };
  const { list: cells, by } = everyKth(scene.cells, Math.floor(box.h / PITCH), scene.selected);
  const n = cells[0]?.values.length ?? 1;
  const p = plot(box, [-0.5, n - 0.5], [0, 1]);
  const pitch = box.h / cells.length;
  const tall = Math.max(pitch * 3.2, 10);
  const still: Item[] = [...xAxis(p, theme, { name: scene.xName, integers: true })];
  const items: Item[] = [];
  const panes: Pane[] = [];
  const every = Math.max(1, Math.ceil(13 / pitch));
  cells.forEach((cell, i) => {
    const base = box.y + pitch * (i + 0.5);
    const y = linear([-scene.reach, scene.reach], [base + tall / 2, base - tall / 2]);
    const { xs: px, ys } = lineOf(cell.values, { box, x: p.x, y });
    const chosen = cell.id === scene.selected;
    // Many rows lie too close for one to cover another usefully, and the fills would cost most of the frame.
    if (cells.length <= 48) items.push({ t: "area", xs: px, ys, base: base + tall / 2, fill: theme.ground, alpha: 0.55 });
    items.push({ t: "line", xs: px, ys, stroke: chosen ? theme.mark : theme.lines[0], width: chosen ? 2 : 1, alpha: chosen ? 1 : 0.85 });
    if (chosen || i % every === 0) {
      still.push({ t: "text", x: box.x - 6, y: base, text: cut(cell.name, 58, 10.5), size: 10.5, weight: chosen ? 700 : 400, fill: chosen ? theme.mark : theme.soft, anchor: "end", halo: chosen ? theme.ground : undefined });
    }
    panes.push({ kind: "row", box: { x: box.x, y: base - pitch / 2, w: box.w, h: pitch }, x: [-0.5, n - 0.5], y: [0, 1], id: cell.id });
  });
  still.push({ t: "text", x: 13, y: box.y + box.h / 2, text: scene.yName, size: 12, fill: theme.ink, anchor: "middle", turn: -90 });
  return { width, height, items: [...still, ...items], panes, notes: [...scene.notes, ...thinNote(cells.length, scene.cells.length, by)] };
}

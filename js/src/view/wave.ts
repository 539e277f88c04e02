// Waves over one axis, with symmetry axes, marks, ghosts and direct labels.
import type { Theme } from "../core/colour";
import { decimated } from "../core/decimate";
import { phasors, type Phasors } from "../core/dft";
import { mod } from "../core/modp";

import { textWidth, type Frame, type Item } from "../draw/list";
import { leftRoom, plot, xAxis, yAxis, type Bends, type Plot } from "./axes";
import { cut, levels, spread } from "./labels";

export interface Series {
  name: string;
  colour: string;
  dash: readonly number[];
  values: ArrayLike<number>;
  width?: number;
  alpha?: number;
  /** Drawn only from here, or only up to here (a wipe). */
  from?: number;
  to?: number;
  /** Added to what is drawn, so that lines upon each other come apart. */
  shift?: number;
}

export type Style = "joins" | "curve" | "dots";

export interface Mark {
  x: number;
  label: string;
}

export interface WaveScene {
  width: number;
  height: number;
  theme: Theme;
  n: number;
  series: Series[];
  ghosts: Series[];
  y: [number, number];
  xName: string;
  yName: string;
  label?: (value: number) => string | null;
  /** Drawn in the middle; null leaves x as it is. */
  centre: number | null;
  centreName?: string;
  symmetry: number[];
  marks: Mark[];
  cursor: number | null;
  style: Style;
  notes: string[];
  /** Whether the axis closes; unless said it does. */
  circle?: boolean;
  /** Coordinates of the samples, ascending, on an axis that does not close. */
  at?: ArrayLike<number> | null;
  bends?: Bends;
  /** The part of x and of y that is shown. */
  window?: { x?: [number, number]; y?: [number, number] };
  wipe?: number | null;
  /** Masked samples of a series, by its place in `series`. */
  masks?: (Uint8Array | null)[];
}

/** Points a sample (an even number): segments of about a pixel, and no corners at the highest frequencies. */
const density = (pixels: number): number => 2 * Math.max(3, Math.min(8, Math.round(pixels / 2)));

const circles = new Map<number, { cos: Float64Array; sin: Float64Array; xs: Float64Array }>();

/** Cosines and sines of the m places of a curve, and the places; the same for every curve of one length. */
function circle(m: number, points: number): { cos: Float64Array; sin: Float64Array; xs: Float64Array } {
  const key = m * 64 + points;
  let found = circles.get(key);
  if (!found) {
    found = {
      cos: Float64Array.from({ length: m }, (_, j) => Math.cos((2 * Math.PI * j) / m)),
      sin: Float64Array.from({ length: m }, (_, j) => Math.sin((2 * Math.PI * j) / m)),
      xs: Float64Array.from({ length: m + 1 }, (_, j) => (j - points / 2) / points),
    };
    if (circles.size > 16) circles.clear();
    circles.set(key, found);
  }
  return found;
}

/** The periodic band-limited curve, so many points a sample, from half a sample before 0 to half after n - 1. */
export function curve(c: Phasors, points = 8): { xs: Float64Array; ys: Float64Array } {
  const m = c.p * points;
  const { cos, sin, xs } = circle(m, points);
  const ys = new Float64Array(m + 1);
  let most = 0;
  for (let k = 0; k < c.re.length; k++) most = Math.max(most, Math.abs(c.re[k]) + Math.abs(c.im[k]));
  for (let k = 0; k < c.re.length; k++) {
    const [a, b] = [c.re[k], c.im[k]];
    // What is below the last bit of the largest is not worth a pass.
    if (Math.abs(a) + Math.abs(b) <= 1e-12 * most) continue;
    for (let j = 0, at = mod((-k * points) / 2, m); j <= m; j++) {
      ys[j] += a * cos[at] - b * sin[at];
      at += k;
      if (at >= m) at -= m;
    }
  }
  return { xs, ys };
}

/** Positions as drawn: with a centre, x - centre in [-n/2, n/2). */
export function placed(x: number, n: number, centre: number | null): number {
  return centre === null ? x : mod(x - centre + n / 2, n) - n / 2;
}

const closes = (scene: WaveScene): boolean => scene.circle !== false;

/** Where a sample stands on x. */
function where(scene: WaveScene, i: number): number {
  if (scene.at && !closes(scene)) return scene.at[i];
  return placed(i, scene.n, scene.centre);
}

function hasGaps(values: ArrayLike<number>): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return true;
  return false;
}

function points(values: ArrayLike<number>, scene: WaveScene, style: Style): { xs: ArrayLike<number>; ys: ArrayLike<number> } {
  const { n, centre } = scene;
  if (!closes(scene)) return { xs: scene.at ?? Float64Array.from({ length: n }, (_, i) => i), ys: values };
  let xs: ArrayLike<number>;
  let ys = values;
  if (style === "curve" && !hasGaps(values)) ({ xs, ys } = curve(phasors(values), density(scene.width / n)));
  else xs = Float64Array.from({ length: n }, (_, i) => i);
  if (centre === null) return { xs, ys };
  const order = Array.from({ length: xs.length }, (_, i) => ({ x: placed(xs[i], n, centre), y: ys[i] }));
  order.sort((a, b) => a.x - b.x);
  return { xs: order.map((o) => o.x), ys: order.map((o) => o.y) };
}

/** The line of a series in pixels: what is out of the window is left out, long ones come in few points. */
function line(series: Series, scene: WaveScene, p: Plot, style: Style): { xs: Float64Array; ys: Float64Array } {
  const made = points(series.values, scene, style);
  const [lo, hi] = p.x.domain;
  let [first, last] = [0, made.xs.length];
  if (scene.window?.x) {
    while (first < last - 1 && made.xs[first + 1] < lo) first++;
    while (last > first + 1 && made.xs[last - 2] > hi) last--;
  }
  const part = (v: ArrayLike<number>) => (first || last < v.length ? Array.prototype.slice.call(v, first, last) : v) as ArrayLike<number>;
  const { xs, ys } = decimated(part(made.xs), part(made.ys), Math.round(p.box.w));
  const shift = series.shift ?? 0;
  const px = new Float64Array(xs.length);
  const py = new Float64Array(xs.length);
  for (let i = 0; i < xs.length; i++) {
    px[i] = p.x(xs[i]);
    const out = (series.from !== undefined && xs[i] < series.from) || (series.to !== undefined && xs[i] > series.to);
    py[i] = out || !Number.isFinite(ys[i]) ? NaN : p.y(ys[i] + shift);
  }
  return { xs: px, ys: py };
}

function wave(series: Series, scene: WaveScene, p: Plot, dotted: boolean): Item[] {
  const items: Item[] = [];
  const { style } = scene;
  const drawn = line(series, scene, p, style);
  if (style !== "dots") {
    // Where every pixel has its smallest and largest sample the line is a band: a hair is enough.
    const dense = series.values.length > 4 * p.box.w;
    items.push({ t: "line", ...drawn, stroke: series.colour, width: dense ? 1 : (series.width ?? 1.75), dash: series.dash, alpha: series.alpha, ...(dense ? { dense } : {}) });
  }
  if (dotted || style === "dots") {
    const d = style === "curve" ? line(series, scene, p, "joins") : drawn;
    const r = Math.max(1.3, Math.min(2.6, p.box.w / scene.n / 3.2));
    items.push({ t: "dots", ...d, r, fill: series.colour, alpha: series.alpha });
  }
  return items;
}

/** Marks of samples that have no place on y: a cross on the base line for NaN, arrows for the infinities, a box for masked. */
function missing(scene: WaveScene, p: Plot): Item[] {
  const [nan, masked, up, down]: number[][] = [[], [], [], []];
  const [top, base] = [p.box.y + 7, p.box.y + p.box.h - 6];
  scene.series.forEach((series, s) => {
    const mask = scene.masks?.[s];
    for (let i = 0; i < series.values.length; i++) {
      const v = series.values[i];
      if (Number.isFinite(v)) continue;
      const x = p.x(where(scene, i));
      if (x < p.box.x - 1 || x > p.box.x + p.box.w + 1) continue;
      if (mask?.[i]) masked.push(x - 3, base - 3, x + 3, base - 3, x + 3, base - 3, x + 3, base + 3, x + 3, base + 3, x - 3, base + 3, x - 3, base + 3, x - 3, base - 3);
      else if (v === Infinity) up.push(x - 4, top + 4, x, top - 4, x, top - 4, x + 4, top + 4);
      else if (v === -Infinity) down.push(x - 4, base - 4, x, base + 4, x, base + 4, x + 4, base - 4);
      else nan.push(x - 3, base - 3, x + 3, base + 3, x - 3, base + 3, x + 3, base - 3);
    }
  });
  const mark = (points: number[], stroke: string): Item[] => (points.length ? [{ t: "segments", points: points.slice(0, 8000), stroke, width: 1.5 }] : []);
  return [...mark(nan, scene.theme.soft), ...mark(masked, scene.theme.faint), ...mark(up, scene.theme.mark), ...mark(down, scene.theme.mark)];
}

/** The value of a wave at a fractional place: linear between samples in joins, band-limited in curves. */
export function valueAt(values: ArrayLike<number>, x: number, style: Style): number {
  const n = values.length;
  const low = Math.floor(x);
  if (x === low) return values[mod(low, n)];
  if (style === "curve") {
    const c = phasors(values);
    let sum = 0;
    for (let k = 0; k < c.re.length; k++) {
      const w = (2 * Math.PI * k * x) / n;
      sum += c.re[k] * Math.cos(w) - c.im[k] * Math.sin(w);
    }
    return sum;
  }
  const t = x - low;
  return (1 - t) * values[mod(low, n)] + t * values[mod(low + 1, n)];
}

function symmetryLines(scene: WaveScene, p: Plot): Item[] {
  const seen: number[] = [];
  for (const s of scene.symmetry) {
    const at = placed(mod(s, scene.n), scene.n, scene.centre);
    for (const x of [at - scene.n, at, at + scene.n]) {
      if (x >= p.x.domain[0] && x <= p.x.domain[1]) seen.push(p.x(x), p.box.y - 4, p.x(x), p.box.y + p.box.h);
    }
  }
  return seen.length ? [{ t: "segments", points: seen, stroke: scene.theme.mark, width: 1.2, dash: [5, 4], alpha: 0.85 }] : [];
}

interface Placement extends Mark {
  px: number;
  level: number;
}

const MOST_LEVELS = 4;

function placeMarks(scene: WaveScene, x: (v: number) => number, domain: [number, number]): Placement[] {
  const joined = new Map<number, string[]>();
  for (const mark of scene.marks) {
    if (!Number.isFinite(mark.x)) continue;
    const at = closes(scene) ? mod(mark.x, scene.n) : mark.x;
    joined.set(at, [...(joined.get(at) ?? []), mark.label]);
  }
  const list = [...joined]
    .map(([at, names]) => ({ x: at, label: names.join(", "), seen: closes(scene) ? placed(at, scene.n, scene.centre) : (scene.at?.[Math.round(at)] ?? at), level: 0 }))
    .filter((m) => m.seen >= domain[0] && m.seen <= domain[1])
    .map((m) => ({ ...m, px: x(m.seen) }));
  const at = levels(
    list.map((m) => m.px),
    list.map((m) => textWidth(m.label, 12) + 8),
  );
  return list.map((m, i) => ({ ...m, level: at[i] })).filter((m) => m.level < MOST_LEVELS);
}

function marks(scene: WaveScene, p: Plot, list: Placement[]): Item[] {
  const top = scene.series[0];
  if (!top) return [];
  const items: Item[] = [];
  for (const mark of list) {
    const value = closes(scene) ? valueAt(top.values, mark.x, scene.style) : (top.values[Math.round(mark.x)] ?? NaN);
    const y = p.y(value + (top.shift ?? 0));
    const within = Number.isFinite(y) && y >= p.box.y && y <= p.box.y + p.box.h;
    const labelY = p.box.y - 12 - 16 * mark.level;
    items.push({ t: "segments", points: [mark.px, labelY + 8, mark.px, within ? y : p.box.y + p.box.h], stroke: scene.theme.mark, width: 1, alpha: 0.55 });
    if (within) items.push({ t: "dots", xs: [mark.px], ys: [y], r: 4.2, fill: scene.theme.ground, stroke: scene.theme.mark, width: 2 });
    items.push({ t: "text", x: mark.px, y: labelY, text: mark.label, size: 12, weight: 600, fill: scene.theme.mark, anchor: "middle", halo: scene.theme.ground });
  }
  return items;
}

/** Lines and ghosts that are named at their right end. */
const named = (scene: WaveScene): Series[] => [...(scene.series.length > 1 ? scene.series : []), ...scene.ghosts.filter((g) => g.name)];

function endLabels(scene: WaveScene, p: Plot): Item[] {
  const all = named(scene);
  if (!all.length) return [];
  const most = Math.max(1, Math.floor(p.box.h / 14));
  const list = all.slice(0, all.length > most ? most - 1 : most);
  const last = list.map((s) => {
    const i = scene.centre === null ? s.values.length - 1 : mod(Math.floor(scene.centre + scene.n / 2 - 1e-9), scene.n);
    const y = p.y(s.values[i] + (s.shift ?? 0));
    return Number.isFinite(y) ? Math.max(p.box.y, Math.min(p.box.y + p.box.h, y)) : p.box.y + p.box.h / 2;
  });
  const at = spread(last, 14, p.box.y + 6, p.box.y + p.box.h - 6 - (all.length > list.length ? 14 : 0));
  const x = p.box.x + p.box.w;
  const room = scene.width - x - 33;
  const items = list.flatMap((s, i): Item[] => [
    { t: "segments", points: [x + 2, last[i], x + 9, at[i]], stroke: s.colour, width: 1, alpha: 0.6 },
    { t: "segments", points: [x + 9, at[i], x + 25, at[i]], stroke: s.colour, width: 2.25, dash: s.dash },
    { t: "text", x: x + 29, y: at[i], text: cut(s.name, room, 12), size: 12, fill: s.colour, weight: 500 },
  ]);
  if (all.length > list.length) items.push({ t: "text", x: x + 9, y: p.box.y + p.box.h - 6, text: `and ${all.length - list.length} more`, size: 11, fill: scene.theme.soft });
  return items;
}

function domainOf(scene: WaveScene): [number, number] {
  const { n, centre, at } = scene;
  if (scene.window?.x) return scene.window.x;
  if (centre !== null) return [-n / 2, n / 2];
  if (closes(scene) || !at) return [-0.5, n - 0.5];
  const [lo, hi] = [at[0], at[n - 1]];
  if (scene.bends?.x === "log" && lo > 0) return [lo, hi > lo ? hi : lo * 10];
  const pad = 0.02 * (hi - lo || 1);
  return [lo - pad, hi + pad];
}

/** A frame with waves over one axis. */
export function waveFrame(scene: WaveScene): Frame {
  const { width, height, theme, n, centre } = scene;
  const domain = domainOf(scene);
  const bends: Bends = scene.bends ?? {};
  const range = scene.window?.y ?? scene.y;
  const left = leftRoom(range, height, undefined, bends);
  const labels = named(scene);
  const widest = Math.max(0, ...labels.map((s) => textWidth(s.name, 12)));
  const right = labels.length ? Math.min(width * 0.3, widest + 38) : 14;
  const rough = plot({ x: left, y: 0, w: Math.max(40, width - left - right), h: 1 }, domain, range, bends);
  const list = placeMarks(scene, rough.x, domain);
  const top = list.length ? 22 + 16 * Math.max(...list.map((m) => m.level)) : 12;
  const box = { ...rough.box, y: top, h: Math.max(40, height - top - 44) };
  const p = plot(box, domain, range, bends);
  const name = centre === null ? scene.xName : `${scene.xName} − ${scene.centreName ?? centre}`;
  // What stays while the wave moves comes first: the canvas draws it once.
  const items: Item[] = [...yAxis(p, theme, { name: scene.yName, bends }), ...xAxis(p, theme, { name, label: centre === null && !scene.at ? scene.label : undefined, integers: !scene.at, bends })];
  if (range[0] < 0 && range[1] > 0) items.push({ t: "segments", points: [box.x, p.y(0), box.x + box.w, p.y(0)], stroke: theme.faint, width: 1 });
  const inside: Item[] = [...symmetryLines(scene, p)];
  for (const ghost of scene.ghosts) inside.push(...wave(ghost, scene, p, false));
  const whole = domainOf({ ...scene, window: undefined });
  const samples = (n * (domain[1] - domain[0])) / (whole[1] - whole[0]);
  const dotted = samples <= box.w / 3.5 && scene.series.length <= 2;
  for (const series of scene.series) inside.push(...wave(series, scene, p, dotted));
  items.push({ t: "clip", x: box.x, y: box.y - 2, w: box.w, h: box.h + 4, items: [...inside, ...missing(scene, p)] });
  if (scene.wipe != null) items.push(...handle(p, scene));
  if (scene.cursor !== null) items.push(...cursor(scene, p, scene.cursor));
  items.push(...marks(scene, p, list), ...endLabels(scene, p));
  return { width, height, items, panes: [{ kind: "wave", box, x: domain, y: range, px: p.x, py: p.y }], notes: scene.notes };
}

/** The place where a wipe goes from one line to the other: something to take hold of. */
function handle(p: Plot, scene: WaveScene): Item[] {
  const x = p.x(where(scene, 0) + (scene.wipe ?? 0) * (scene.n - 1));
  const y = p.box.y + p.box.h / 2;
  return [
    { t: "segments", points: [x, p.box.y, x, p.box.y + p.box.h], stroke: scene.theme.ink, width: 1.5 },
    { t: "rect", x: x - 9, y: y - 16, w: 18, h: 32, radius: 9, fill: scene.theme.panel, stroke: scene.theme.ink, width: 1.5 },
    { t: "text", x, y, text: "↔", size: 13, fill: scene.theme.ink, anchor: "middle" },
  ];
}

function cursor(scene: WaveScene, p: Plot, at: number): Item[] {
  const x = p.x(where(scene, at));
  if (!(x >= p.box.x - 1 && x <= p.box.x + p.box.w + 1)) return [];
  const ys = scene.series.map((s) => p.y(s.values[at] + (s.shift ?? 0)));
  return [
    { t: "segments", points: [x, p.box.y, x, p.box.y + p.box.h], stroke: scene.theme.ink, width: 1, alpha: 0.35 },
    ...scene.series.flatMap((s, i): Item[] => (ys[i] >= p.box.y && ys[i] <= p.box.y + p.box.h ? [{ t: "dots", xs: [x], ys: [ys[i]], r: 4, fill: s.colour, stroke: scene.theme.ground, width: 1.5 }] : [])),
  ];
}


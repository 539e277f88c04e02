// Waves over one axis, with symmetry axes, marks, ghosts and direct labels.
import type { Theme } from "../core/colour";
import { phasors, type Phasors } from "../core/dft";
import { mod } from "../core/modp";
import { textWidth, type Frame, type Item } from "../draw/list";
import { leftRoom, levels, plot, spread, xAxis, yAxis, type Plot } from "./axes";

export interface Series {
  name: string;
  colour: string;
  dash: readonly number[];
  values: ArrayLike<number>;
  width?: number;
  alpha?: number;
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
}

/** Points a sample (an even number): segments of about a pixel, and no corners at the highest frequencies. */
const density = (pixels: number): number => 2 * Math.max(3, Math.min(8, Math.round(pixels / 2)));

/** The periodic band-limited curve, so many points a sample, from half a sample before 0 to half after n - 1. */
export function curve(c: Phasors, points = 8): { xs: Float64Array; ys: Float64Array } {
  const m = c.p * points;
  const start = -points / 2;
  const xs = Float64Array.from({ length: m + 1 }, (_, j) => (j + start) / points);
  const ys = new Float64Array(m + 1);
  const cos = Float64Array.from({ length: m }, (_, j) => Math.cos((2 * Math.PI * j) / m));
  const quarter = m / 4;
  const exact = Number.isInteger(quarter);
  for (let k = 0; k < c.re.length; k++) {
    const [a, b] = [c.re[k], c.im[k]];
    if (a === 0 && b === 0) continue;
    for (let j = 0, at = mod(k * start, m); j <= m; j++, at = (at + k) % m) {
      const sine = exact ? cos[(at + 3 * quarter) % m] : Math.sin((2 * Math.PI * at) / m);
      ys[j] += a * cos[at] - b * sine;
    }
  }
  return { xs, ys };
}

/** Positions as drawn: with a centre, x - centre in [-n/2, n/2). */
export function placed(x: number, n: number, centre: number | null): number {
  return centre === null ? x : mod(x - centre + n / 2, n) - n / 2;
}

function points(values: ArrayLike<number>, scene: WaveScene, style: Style): { xs: number[]; ys: number[] } {
  const { n, centre } = scene;
  let xs: ArrayLike<number> = Array.from({ length: n }, (_, i) => i);
  let ys = values;
  const gaps = Array.prototype.some.call(values, (v: number) => !Number.isFinite(v));
  if (style === "curve" && !gaps) ({ xs, ys } = curve(phasors(values), density(scene.width / n)));
  if (centre === null) return { xs: Array.from(xs), ys: Array.from(ys) };
  const order = Array.from({ length: xs.length }, (_, i) => ({ x: placed(xs[i], n, centre), y: ys[i] }));
  order.sort((a, b) => a.x - b.x);
  return { xs: order.map((o) => o.x), ys: order.map((o) => o.y) };
}

function wave(series: Series, scene: WaveScene, p: Plot, dotted: boolean): Item[] {
  const items: Item[] = [];
  const style = scene.style;
  const { xs, ys } = points(series.values, scene, style);
  const px = xs.map(p.x);
  const py = ys.map((v) => (Number.isFinite(v) ? p.y(v) : NaN));
  if (style !== "dots") {
    items.push({ t: "line", xs: px, ys: py, stroke: series.colour, width: series.width ?? 1.75, dash: series.dash, alpha: series.alpha });
  }
  if (dotted || style === "dots") {
    const d = style === "curve" ? points(series.values, scene, "joins") : { xs, ys };
    const r = Math.max(1.3, Math.min(2.6, p.box.w / scene.n / 3.2));
    items.push({ t: "dots", xs: d.xs.map(p.x), ys: d.ys.map((v) => (Number.isFinite(v) ? p.y(v) : NaN)), r, fill: series.colour, alpha: series.alpha });
  }
  return items;
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

function placeMarks(scene: WaveScene, x: (v: number) => number): Placement[] {
  const joined = new Map<number, string[]>();
  for (const mark of scene.marks) {
    if (!Number.isFinite(mark.x)) continue;
    const at = mod(mark.x, scene.n);
    joined.set(at, [...(joined.get(at) ?? []), mark.label]);
  }
  const list = [...joined].map(([at, names]) => ({ x: at, label: names.join(", "), px: x(placed(at, scene.n, scene.centre)), level: 0 }));
  const at = levels(
    list.map((m) => m.px),
    list.map((m) => textWidth(m.label, 12) + 8),
  );
  return list.map((m, i) => ({ ...m, level: at[i] }));
}

function marks(scene: WaveScene, p: Plot, list: Placement[]): Item[] {
  const top = scene.series[0];
  if (!top) return [];
  const items: Item[] = [];
  for (const mark of list) {
    const y = p.y(valueAt(top.values, mark.x, scene.style));
    const labelY = p.box.y - 12 - 16 * mark.level;
    items.push({ t: "segments", points: [mark.px, labelY + 8, mark.px, Number.isFinite(y) ? y : p.box.y + p.box.h], stroke: scene.theme.mark, width: 1, alpha: 0.55 });
    items.push({ t: "dots", xs: [mark.px], ys: [y], r: 4.2, fill: scene.theme.ground, stroke: scene.theme.mark, width: 2 });
    items.push({ t: "text", x: mark.px, y: labelY, text: mark.label, size: 12, weight: 600, fill: scene.theme.mark, anchor: "middle", halo: scene.theme.ground });
  }
  return items;
}

function endLabels(scene: WaveScene, p: Plot): Item[] {
  if (scene.series.length < 2) return [];
  const last = scene.series.map((s) => {
    const ys = points(s.values, scene, "joins").ys;
    const v = ys[ys.length - 1];
    return p.y(Number.isFinite(v) ? v : (p.y.domain[0] + p.y.domain[1]) / 2);
  });
  const at = spread(last, 14, p.box.y + 6, p.box.y + p.box.h - 6);
  const x = p.box.x + p.box.w;
  return scene.series.flatMap((s, i): Item[] => [
    { t: "segments", points: [x + 2, last[i], x + 9, at[i]], stroke: s.colour, width: 1, alpha: 0.6 },
    { t: "segments", points: [x + 9, at[i], x + 25, at[i]], stroke: s.colour, width: 2.25, dash: s.dash },
    { t: "text", x: x + 29, y: at[i], text: s.name, size: 12, fill: s.colour, weight: 500 },
  ]);
}

/** A frame with waves over the residues of one axis. */
export function waveFrame(scene: WaveScene): Frame {
  const { width, height, theme, n, centre } = scene;
  const domain: [number, number] = centre === null ? [-0.5, n - 0.5] : [-n / 2, n / 2];
  const left = leftRoom(scene.y, height);
  const widest = Math.max(0, ...scene.series.map((s) => textWidth(s.name, 12)));
  const right = scene.series.length > 1 ? Math.min(width * 0.3, widest + 38) : 14;
  const rough = plot({ x: left, y: 0, w: Math.max(40, width - left - right), h: 1 }, domain, scene.y);
  const list = placeMarks(scene, rough.x);
  const top = list.length ? 22 + 16 * Math.max(...list.map((m) => m.level)) : 12;
  const box = { ...rough.box, y: top, h: Math.max(40, height - top - 44) };
  const p = plot(box, domain, scene.y);
  const items: Item[] = [...yAxis(p, theme, { name: scene.yName })];
  if (scene.y[0] < 0 && scene.y[1] > 0) items.push({ t: "segments", points: [box.x, p.y(0), box.x + box.w, p.y(0)], stroke: theme.faint, width: 1 });
  items.push(...symmetryLines(scene, p));
  const inside: Item[] = [];
  for (const ghost of scene.ghosts) inside.push(...wave(ghost, scene, p, false));
  const dotted = n <= box.w / 3.5 && scene.series.length <= 2;
  for (const series of scene.series) inside.push(...wave(series, scene, p, dotted));
  items.push({ t: "clip", x: box.x, y: box.y - 2, w: box.w, h: box.h + 4, items: inside });
  if (scene.cursor !== null) items.push(...cursor(scene, p, scene.cursor));
  items.push(...marks(scene, p, list), ...endLabels(scene, p));
  items.push(...xAxis(p, theme, { name: centre === null ? scene.xName : `${scene.xName} − ${scene.centreName ?? centre}`, label: centre === null ? scene.label : undefined, integers: true }));
  return { width, height, items, panes: [{ kind: "wave", box, x: domain, y: scene.y }], notes: scene.notes };
}

function cursor(scene: WaveScene, p: Plot, at: number): Item[] {
  const x = p.x(placed(at, scene.n, scene.centre));
  const ys = scene.series.map((s) => p.y(s.values[at]));
  return [
    { t: "segments", points: [x, p.box.y, x, p.box.y + p.box.h], stroke: scene.theme.ink, width: 1, alpha: 0.35 },
    ...scene.series.map((s, i): Item => ({ t: "dots", xs: [x], ys: [ys[i]], r: 4, fill: s.colour, stroke: scene.theme.ground, width: 1.5 })),
  ];
}

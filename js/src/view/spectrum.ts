// Spectra over the frequencies 0..p/2, with sticks at the key frequencies and what they give rise to.
import type { Theme } from "../core/colour";
import { quantityOf, shares, type Phasors, type Quantity } from "../core/dft";
import { origins } from "../core/modp";
import { padded, type Scale } from "../core/scale";
import { extent } from "../core/tensor";
import { textWidth, type Frame, type Item } from "../draw/list";
import { leftRoom, levels, plot, xAxis, yAxis, type Bends, type Plot } from "./axes";
import { cut } from "./labels";

export interface Voice {
  name: string;
  colour: string;
  dash: readonly number[];
  phasors: Phasors;
}

export interface SpectrumScene {
  width: number;
  height: number;
  theme: Theme;
  p: number;
  voices: Voice[];
  quantity: Quantity;
  y: [number, number];
  keys: readonly number[];
  sticks: boolean;
  muted: ReadonlySet<number>;
  hover: number | null;
  name: string;
  notes: string[];
  bends?: Bends;
  /** The part of k and of y that is shown. */
  window?: { x?: [number, number]; y?: [number, number] };
}

export const QUANTITIES: Record<Quantity, string> = {
  amplitude: "amplitude",
  power: "power",
  db: "power (dB)",
  phase: "phase (rad)",
  cossin: "cos and sin coefficients",
  share: "share of energy (DC left out)",
};

const PI_TICKS = [-Math.PI, -Math.PI / 2, 0, Math.PI / 2, Math.PI];
const PI_NAMES = ["−π", "−π/2", "0", "π/2", "π"];

/** The range that shows these spectra; DC, often far larger, may leave it. */
export function spectrumRange(list: Phasors[], quantity: Quantity): [number, number] {
  if (quantity === "phase") return [-Math.PI * 1.08, Math.PI * 1.08];
  const parts = list.map((c) => {
    const q = quantityOf(c, quantity);
    const half = c.re.length;
    return quantity === "cossin" ? Float64Array.of(...q.slice(1, half), ...q.slice(half + 1)) : q.slice(1);
  });
  const e = extent(...parts) ?? { lo: 0, hi: 1 };
  if (quantity === "db") return [Math.max(e.lo, e.hi - 80) - 3, e.hi + 3];
  if (quantity === "cossin") {
    const reach = Math.max(-e.lo, e.hi) || 1;
    return [-reach * 1.1, reach * 1.1];
  }
  return [0, padded({ lo: 0, hi: e.hi || 1 }, 0.08)[1]];
}

function bars(scene: SpectrumScene, p: Plot): Item[] {
  const items: Item[] = [];
  const count = scene.voices.length;
  const bent = scene.bends?.y === "log";
  const base = bent ? p.box.y + p.box.h : p.y(Math.max(p.y.domain[0], Math.min(p.y.domain[1], scene.quantity === "db" ? p.y.domain[0] : 0)));
  const slot = Math.min(16, (p.x(1) - p.x(0)) * 0.72);
  const keys = new Set(scene.keys);
  const half = Math.floor(scene.p / 2) + 1;
  scene.voices.forEach((voice, i) => {
    const values = quantityOf(voice.phasors, scene.quantity);
    const rows = scene.quantity === "cossin" ? 2 : 1;
    const w = Math.max(1.2, slot / (count * rows));
    const [first, last] = [Math.max(0, Math.floor(p.x.domain[0])), Math.min(half - 1, Math.ceil(p.x.domain[1]))];
    if (slot < 1) return items.push(skyline(values.subarray(first, last + 1), first, p, base, voice.colour));
    for (let k = first; k <= last; k++) {
      for (let row = 0; row < rows; row++) {
        const v = values[row * half + k];
        if (row === 1 && (k === 0 || 2 * k === scene.p)) continue;
        const x = p.x(k) - slot / 2 + (i * rows + row) * w;
        const height = p.y(v);
        const y = Number.isFinite(height) ? Math.max(p.box.y, Math.min(p.box.y + p.box.h, height)) : base;
        const [top, bottom] = y < base ? [y, base] : [base, y];
        const muted = scene.muted.has(k);
        const strong = !keys.size || keys.has(k);
        // What is no key frequency is narrower, not paler: it has to be seen.
        const wide = Math.max(1, (w - (count * rows > 1 ? 0.5 : 0)) * (strong || count * rows > 1 ? 1 : 0.55));
        const bar: Item = { t: "rect", x: x + (w - wide) / 2, y: top, w: wide, h: Math.max(0.6, bottom - top), radius: Math.min(2, w / 3) };
        if (muted) items.push({ ...bar, stroke: scene.theme.faint, width: 1 });
        else if (row === 1) items.push({ ...bar, stroke: voice.colour, width: 1.2 });
        else items.push({ ...bar, fill: voice.colour });
        if (v > p.y.domain[1] && !muted) items.push(beyond(p, x + w / 2, scene.theme));
      }
    }
  });
  return items;
}

/** Where bars would be thinner than a pixel: the largest value of each pixel, filled to the base. */
function skyline(values: ArrayLike<number>, first: number, p: Plot, base: number, fill: string): Item {
  const most = new Map<number, number>();
  for (let i = 0; i < values.length; i++) {
    const x = Math.round(p.x(first + i));
    most.set(x, Math.max(most.get(x) ?? -Infinity, values[i]));
  }
  const ys = [...most.values()].map((v) => Math.max(p.box.y, Math.min(p.box.y + p.box.h, Number.isFinite(p.y(v)) ? p.y(v) : base)));
  return { t: "area", xs: [...most.keys()], ys, base, fill };
}

/** A small arrow where a bar leaves the picture, so that nothing is cut off silently. */
function beyond(p: Plot, x: number, theme: Theme): Item {
  const y = p.box.y;
  return { t: "segments", points: [x - 3.5, y + 5, x, y + 0.5, x, y + 0.5, x + 3.5, y + 5], stroke: theme.ink, width: 1.5 };
}

function phaseDots(scene: SpectrumScene, p: Plot): Item[] {
  const lines: number[] = [];
  for (const y of [-Math.PI, Math.PI]) lines.push(p.box.x, p.y(y), p.box.x + p.box.w, p.y(y));
  const items: Item[] = [{ t: "segments", points: lines, stroke: scene.theme.faint, width: 1, dash: [2, 3] }];
  for (const voice of scene.voices) {
    const share = shares(voice.phasors);
    const angle = quantityOf(voice.phasors, "phase");
    for (let k = 1; k < angle.length; k++) {
      const r = 1.5 + 7 * Math.sqrt(share[k]);
      const muted = scene.muted.has(k);
      items.push({ t: "dots", xs: [p.x(k)], ys: [p.y(angle[k])], r, fill: muted ? scene.theme.ground : voice.colour, stroke: muted ? scene.theme.faint : undefined, alpha: share[k] > 0.01 ? 1 : 0.75 });
    }
  }
  return items;
}

interface Stick {
  k: number;
  label: string;
  /** All its names. */
  joined: string;
  key: boolean;
}

function stickList(scene: SpectrumScene): Stick[] {
  if (!scene.sticks) return [];
  const at = new Map<number, { names: string[]; key: boolean }>();
  for (const o of origins(scene.keys, scene.p)) {
    const here = at.get(o.k) ?? { names: [], key: false };
    if (o.kind === "key") here.key = true;
    else if (!here.names.includes(o.name)) here.names.push(o.name);
    at.set(o.k, here);
  }
  return [...at].map(([k, { names, key }]) => ({ k, key, label: key ? `${k}` : names[0], joined: [...(key ? [`${k}`] : []), ...names].join(" = ") })).sort((a, b) => a.k - b.k);
}

const MOST_LEVELS = 3;

/** Joined names where there is room for them; the widest are shortened to their first name until all fit. */
function fitted(sticks: Stick[], p: Plot): { labels: string[]; level: number[] } {
  const labels = sticks.map((s) => s.joined);
  for (;;) {
    const widths = labels.map((text, i) => textWidth(text, sticks[i].key ? 12 : 10.5));
    const level = levels(sticks.map((s) => p.x(s.k)), widths);
    if (Math.max(0, ...level) < MOST_LEVELS) return { labels, level };
    const long = labels.map((text, i) => (text === sticks[i].label ? 0 : widths[i]));
    const widest = long.indexOf(Math.max(...long));
    if (!long[widest]) return { labels, level };
    labels[widest] = sticks[widest].label;
  }
}

function stickItems(scene: SpectrumScene, p: Plot, list: Stick[]): Item[] {
  const { theme } = scene;
  const named = list.filter((s) => s.key || !/[+−]/.test(s.label));
  const { labels, level } = fitted(named, p);
  const items: Item[] = [];
  const ticks: number[] = [];
  for (const s of list) if (!named.includes(s)) ticks.push(p.x(s.k), p.box.y - 6, p.x(s.k), p.box.y - 1);
  items.push({ t: "segments", points: ticks, stroke: theme.faint, width: 1.5 });
  named.forEach((s, i) => {
    if (level[i] >= MOST_LEVELS) return;
    const y = p.box.y - 13 - 14 * level[i];
    const colour = s.key ? theme.mark : theme.soft;
    items.push({ t: "segments", points: [p.x(s.k), y + 7, p.x(s.k), p.box.y + (s.key ? p.box.h : 0)], stroke: colour, width: 1, dash: s.key ? [2, 3] : [], alpha: s.key ? 0.55 : 0.8 });
    items.push({ t: "text", x: p.x(s.k), y, text: labels[i], size: s.key ? 12 : 10.5, weight: s.key ? 700 : 400, fill: colour, anchor: "middle", halo: theme.ground });
  });
  return items;
}

function legend(scene: SpectrumScene, p: Plot): Item[] {
  if (scene.voices.length < 2) return [];
  const x = p.box.x + p.box.w + 10;
  const most = Math.max(1, Math.floor(p.box.h / 16));
  const list = scene.voices.slice(0, scene.voices.length > most ? most - 1 : most);
  const items = list.flatMap((voice, i): Item[] => [
    { t: "rect", x, y: p.box.y + 3 + 16 * i, w: 10, h: 10, fill: voice.colour, radius: 2 },
    { t: "text", x: x + 15, y: p.box.y + 8 + 16 * i, text: cut(voice.name, scene.width - x - 17, 12), size: 12, fill: voice.colour, weight: 500 },
  ]);
  if (scene.voices.length > list.length) items.push({ t: "text", x, y: p.box.y + 8 + 16 * list.length, text: `and ${scene.voices.length - list.length} more`, size: 11, fill: scene.theme.soft });
  return items;
}

/** A frame with one bar a frequency and series. */
export function spectrumFrame(scene: SpectrumScene): Frame {
  const { width, height, theme } = scene;
  const half = Math.floor(scene.p / 2);
  const sticks = stickList(scene);
  const widest = Math.max(0, ...scene.voices.map((v) => textWidth(v.name, 12)));
  const bends: Bends = { y: scene.quantity === "phase" || scene.quantity === "db" ? undefined : scene.bends?.y, knee: scene.bends?.knee };
  const range = scene.window?.y ?? (bends.y === "log" ? positive(scene.y) : scene.y);
  const left = scene.quantity === "phase" ? 58 : leftRoom(range, height, undefined, bends);
  const right = scene.voices.length > 1 ? Math.min(width * 0.3, widest + 32) : 14;
  const top = sticks.length ? 48 : 14;
  const box = { x: left, y: top, w: Math.max(40, width - left - right), h: Math.max(40, height - top - 44) };
  const domain: [number, number] = scene.window?.x ?? [-0.8, half + 0.8];
  const p = plot(box, domain, range, bends);
  const isPhase = scene.quantity === "phase";
  const items: Item[] = yAxis(p, theme, { name: QUANTITIES[scene.quantity], bends, ...(isPhase ? { values: PI_TICKS, label: (v) => PI_NAMES[PI_TICKS.indexOf(v)] } : {}) });
  if (scene.hover !== null) items.push(band(p, p.x, scene.hover, theme));
  items.push(...stickItems(scene, p, sticks.filter((s) => s.k >= domain[0] && s.k <= domain[1])));
  items.push({ t: "clip", x: box.x, y: box.y - 2, w: box.w, h: box.h + 4, items: isPhase ? phaseDots(scene, p) : bars(scene, p) });
  items.push(...xAxis(p, theme, { name: scene.name, integers: true, room: 56 }), ...legend(scene, p));
  if (scene.y[0] < 0 && !isPhase && scene.quantity !== "db") items.push({ t: "segments", points: [box.x, p.y(0), box.x + box.w, p.y(0)], stroke: theme.faint, width: 1 });
  return { width, height, items, panes: [{ kind: "spectrum", box, x: domain, y: range, py: p.y }], notes: scene.notes };
}

const positive = ([lo, hi]: [number, number]): [number, number] => [lo > 0 ? lo : Math.max(hi, 1e-30) * 1e-6, Math.max(hi, 1e-30)];

function band(p: Plot, x: Scale, k: number, theme: Theme): Item {
  const w = x(1) - x(0);
  return { t: "rect", x: x(k) - w / 2, y: p.box.y, w, h: p.box.h, fill: theme.ink, alpha: 0.07 };
}

// The four pictures: curves, the embedding's spectrum, the neurons, one activation.
import { colourScale, pixels, rampOf } from "../core/colour";
import { axes, line, number, path, text, ticks, type Box, type Sheet } from "./paint";
import type { Change, Picture, Row } from "./wire";

const LEAST = 1e-10;

/** A stable colour and shape for each frequency that has ever been among the strongest. */
export class Frequencies {
  private places = new Map<number, number>();
  constructor(private most = 8) {}

  take(ks: Iterable<number>): void {
    for (const k of ks) if (!this.places.has(k) && this.places.size < this.most) this.places.set(k, this.places.size);
  }

  /** Forgets those that are no longer strong, so that their colours are free again. */
  keep(strong: Set<number>): void {
    for (const k of [...this.places.keys()]) if (!strong.has(k)) this.places.delete(k);
    const taken = new Set(this.places.values());
    let next = 0;
    for (const k of strong) {
      if (this.places.has(k) || this.places.size >= this.most) continue;
      while (taken.has(next)) next++;
      this.places.set(k, next);
      taken.add(next);
    }
  }

  of(k: number): number | null {
    return this.places.get(k) ?? null;
  }

  get known(): number[] {
    return [...this.places.keys()].sort((a, b) => a - b);
  }
}

export function curves(s: Sheet, rows: Row[], events: Change[], anew: number[], at: number | null): void {
  const { theme, w, h } = s;
  const box: Box = { x: 48, y: 20, w: w - 178, h: h - 48 };
  const last = rows.length ? rows[rows.length - 1][0] : 1;
  const log = (v: number) => Math.log10(Math.max(v, LEAST));
  let lo = -1;
  let hi = 1;
  for (const [, train, , test] of rows) {
    for (const v of [train, test]) {
      if (v === null || !Number.isFinite(v)) continue;
      lo = Math.min(lo, Math.floor(log(v)));
      hi = Math.max(hi, Math.ceil(log(v)));
    }
  }
  axes(s, box, [0, Math.max(last, 1)], [lo, hi], { x: "step", y: "loss", log: true });
  const x = (step: number) => box.x + (box.w * step) / Math.max(last, 1);
  const y = (v: number) => box.y + box.h * (1 - (log(v) - lo) / (hi - lo));
  const share = (v: number) => box.y + box.h * (1 - v);
  for (const v of [0, 0.5, 1]) text(s, `${100 * v} %`, box.x + box.w + 6, share(v), "left", theme.faint);
  const [blue, orange] = theme.lines;
  const test = rows.filter((row) => row[3] !== null);
  path(s, rows.map((row) => [x(row[0]), share(row[2])]), blue, 1, [2, 3]);
  path(s, test.map((row) => [x(row[0]), share(row[4]!)]), orange, 1, [2, 3]);
  path(s, rows.map((row) => [x(row[0]), y(row[1])]), blue);
  path(s, test.map((row) => [x(row[0]), y(row[3]!)]), orange);
  const side = box.x + box.w + 42;
  const legend: [string, string, number[]][] = [
    ["train loss", blue, []],
    ["test loss", orange, []],
    ["train acc.", blue, [2, 3]],
    ["test acc.", orange, [2, 3]],
  ];
  legend.forEach(([name, colour, dash], i) => {
    line(s, side, box.y + 14 * i, side + 16, box.y + 14 * i, colour, dash);
    text(s, name, side + 20, box.y + 14 * i, "left", theme.ink);
  });
  for (const [i, { step, kind, value }] of events.entries()) {
    line(s, x(step), box.y, x(step), box.y + box.h, theme.mark, [4, 3]);
    const name = kind === "learning_rate" ? `lr ${number(value)}` : kind === "weight_decay" ? `wd ${number(value)}` : `- k=${value}`;
    // beside the line, on the side where there is room, one below the other
    const right = x(step) < box.x + 0.8 * box.w;
    text(s, name, x(step) + (right ? 3 : -3), box.y + 6 + 13 * (i % 8), right ? "left" : "right", theme.mark);
  }
  for (const step of anew) {
    line(s, x(step), box.y, x(step), box.y + box.h, theme.faint, [1, 3]);
    text(s, "anew", x(step) + 3, box.y + 18, "left", theme.faint);
  }
  if (at !== null) line(s, x(at), box.y, x(at), box.y + box.h, theme.accent);
}

export function spectrumBox({ w, h }: { w: number; h: number }): Box {
  return { x: 48, y: 20, w: w - 62, h: h - 48 };
}

export function spectrum(s: Sheet, shares: Float32Array, frequencies: Frequencies, chosen: number | null): void {
  const { ctx, theme } = s;
  const box = spectrumBox(s);
  const top = Math.max(0.05, Math.ceil(20 * Math.max(...shares)) / 20);
  axes(s, box, [0.5, shares.length + 0.5], [0, top], { x: "frequency k", y: "share of the embedding's energy" });
  const width = box.w / shares.length;
  shares.forEach((share, i) => {
    const k = i + 1;
    const place = frequencies.of(k);
    const high = (box.h * Math.min(share, top)) / top;
    ctx.fillStyle = place === null ? theme.faint : theme.lines[place];
    ctx.fillRect(box.x + i * width + 0.15 * width, box.y + box.h - high, Math.max(0.7 * width, 1), high);
    if (k === chosen) {
      ctx.strokeStyle = theme.mark;
      ctx.strokeRect(box.x + i * width, box.y, width, box.h);
    }
    if (place !== null && share > 0.03) text(s, String(k), box.x + (i + 0.5) * width, box.y + box.h - high - 7, "center", theme.ink);
  });
}

function mark(ctx: CanvasRenderingContext2D, place: number | null, x: number, y: number, r: number): void {
  ctx.beginPath();
  if (place === null || place % 4 === 0) ctx.arc(x, y, r, 0, 2 * Math.PI);
  else if (place % 4 === 1) ctx.rect(x - r, y - r, 2 * r, 2 * r);
  else if (place % 4 === 2) {
    ctx.moveTo(x, y - 1.3 * r);
    ctx.lineTo(x + 1.2 * r, y + r);
    ctx.lineTo(x - 1.2 * r, y + r);
    ctx.closePath();
  } else {
    ctx.moveTo(x, y - 1.4 * r);
    ctx.lineTo(x + 1.4 * r, y);
    ctx.lineTo(x, y + 1.4 * r);
    ctx.lineTo(x - 1.4 * r, y);
    ctx.closePath();
  }
  ctx.fill();
}

export function neurons(s: Sheet, picture: Picture, frequencies: Frequencies): string {
  const { ctx, theme, w, h } = s;
  const { frequency, amplitude, phase } = picture.arrays;
  const radius = Math.min((w - 150) / 2, h / 2 - 18);
  const [cx, cy] = [20 + radius, h / 2];
  const sorted = Float32Array.from(amplitude).sort();
  const most = sorted[Math.max(0, Math.ceil(0.995 * sorted.length) - 1)] || 1;
  const step = ticks(0, most, 3)[1] ?? most;
  ctx.strokeStyle = theme.grid;
  for (let r = step; r <= 1.001 * most; r += step) {
    ctx.beginPath();
    ctx.arc(cx, cy, (radius * r) / most, 0, 2 * Math.PI);
    ctx.stroke();
    text(s, number(r), cx + (radius * r) / most + 2, cy - 6, "left", theme.faint);
  }
  line(s, cx - radius, cy, cx + radius, cy, theme.grid);
  line(s, cx, cy - radius, cx, cy + radius, theme.grid);
  const counts = new Map<number, number>();
  let others = 0;
  for (let i = 0; i < amplitude.length; i++) {
    const r = (radius * Math.min(amplitude[i], most)) / most;
    const place = frequencies.of(frequency[i]);
    if (place === null) others++;
    else counts.set(frequency[i], (counts.get(frequency[i]) ?? 0) + 1);
    ctx.globalAlpha = place === null ? 0.35 : 0.8;
    ctx.fillStyle = place === null ? theme.faint : theme.lines[place];
    mark(ctx, place, cx + r * Math.cos(phase[i]), cy - r * Math.sin(phase[i]), 2.4);
  }
  ctx.globalAlpha = 1;
  const side = cx + radius + 34;
  frequencies.known.forEach((k, i) => {
    const place = frequencies.of(k)!;
    ctx.fillStyle = theme.lines[place];
    mark(ctx, place, side, 24 + 16 * i, 3.5);
    text(s, `k = ${k}: ${counts.get(k) ?? 0}`, side + 10, 24 + 16 * i, "left", theme.ink);
  });
  if (others) text(s, `other: ${others}`, side + 10, 24 + 16 * frequencies.known.length, "left", theme.soft);
  return frequencies.known.map((k) => `${counts.get(k) ?? 0} of frequency ${k}`).join(", ");
}

export function wave(s: Sheet, values: Float32Array, axis: string, name: string): void {
  const box: Box = { x: 48, y: 20, w: s.w - 62, h: s.h - 48 };
  let [lo, hi] = [Math.min(...values), Math.max(...values)];
  if (!(hi > lo)) [lo, hi] = [lo - 1, hi + 1];
  const room = 0.06 * (hi - lo);
  [lo, hi] = [lo - room, hi + room];
  axes(s, box, [0, values.length - 1], [lo, hi], { x: axis, y: name });
  const points = Array.from(values, (v, i): [number, number] => [box.x + (box.w * i) / (values.length - 1), box.y + box.h * (1 - (v - lo) / (hi - lo))]);
  if (lo < 0 && hi > 0) line(s, box.x, box.y + (box.h * hi) / (hi - lo), box.x + box.w, box.y + (box.h * hi) / (hi - lo), s.theme.faint, [3, 3]);
  path(s, points, s.theme.accent);
  s.ctx.fillStyle = s.theme.accent;
  for (const [x, y] of points) s.ctx.fillRect(x - 1.5, y - 1.5, 3, 3);
}

export function map(s: Sheet, values: Float32Array, shape: number[], names: [string, string], title: string): void {
  const { ctx, theme } = s;
  const side = Math.min(s.w - 160, s.h - 52);
  const box: Box = { x: 48, y: 20, w: side, h: side };
  let [lo, hi] = [Infinity, -Infinity];
  for (const v of values) {
    lo = Math.min(lo, v);
    hi = Math.max(hi, v);
  }
  const scale = colourScale(lo, hi);
  const table = rampOf(scale.ramp, theme.dark);
  const { rgba } = pixels(values, scale, table, shape[1]);
  const small = document.createElement("canvas");
  [small.width, small.height] = [shape[1], shape[0]];
  small.getContext("2d")!.putImageData(new ImageData(rgba as Uint8ClampedArray<ArrayBuffer>, shape[1], shape[0]), 0, 0);
  ctx.imageSmoothingEnabled = false;
  ctx.drawImage(small, box.x, box.y, box.w, box.h);
  for (const value of ticks(0, shape[0] - 1, 4)) text(s, number(value), box.x - 5, box.y + (box.h * (value + 0.5)) / shape[0], "right");
  for (const value of ticks(0, shape[1] - 1, 4)) text(s, number(value), box.x + (box.w * (value + 0.5)) / shape[1], box.y + box.h + 9, "center");
  text(s, names[1], box.x + box.w, box.y + box.h + 22, "right", theme.faint);
  text(s, `${title}; ${names[0]} downwards`, box.x - 40, box.y - 10, "left", theme.faint);
  const bar = { x: box.x + box.w + 14, w: 12 };
  for (let i = 0; i < 64; i++) {
    const at = Math.round((255 * (63 - i)) / 63) * 3;
    ctx.fillStyle = `rgb(${table[at]},${table[at + 1]},${table[at + 2]})`;
    ctx.fillRect(bar.x, box.y + (box.h * i) / 64, bar.w, box.h / 64 + 1);
  }
  text(s, number(scale.hi), bar.x + bar.w + 4, box.y + 5);
  text(s, number(scale.lo), bar.x + bar.w + 4, box.y + box.h - 5);
}

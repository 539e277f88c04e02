// A canvas with sharp pixels, and the axes that several panels share.
import { format } from "d3-format";
import type { Theme } from "../core/colour";

export interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface Sheet {
  ctx: CanvasRenderingContext2D;
  w: number;
  h: number;
  theme: Theme;
}

export const FONT = "system-ui, sans-serif";

export function sheet(canvas: HTMLCanvasElement, theme: Theme): Sheet {
  const scale = devicePixelRatio || 1;
  const w = canvas.clientWidth;
  const h = canvas.clientHeight;
  if (canvas.width !== Math.round(w * scale) || canvas.height !== Math.round(h * scale)) {
    canvas.width = Math.round(w * scale);
    canvas.height = Math.round(h * scale);
  }
  const ctx = canvas.getContext("2d")!;
  ctx.setTransform(scale, 0, 0, scale, 0, 0);
  ctx.clearRect(0, 0, w, h);
  ctx.font = `11px ${FONT}`;
  ctx.lineWidth = 1;
  ctx.textBaseline = "middle";
  return { ctx, w, h, theme };
}

export function text({ ctx, theme }: Sheet, words: string, x: number, y: number, anchor: CanvasTextAlign = "left", colour = theme.soft): void {
  ctx.fillStyle = colour;
  ctx.textAlign = anchor;
  ctx.fillText(words, x, y);
}

export function line({ ctx }: Sheet, x0: number, y0: number, x1: number, y1: number, colour: string, dash: number[] = []): void {
  ctx.strokeStyle = colour;
  ctx.setLineDash(dash);
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
  ctx.setLineDash([]);
}

const plain = format(".3~g");
const short = format(".2~s");
export const number = (value: number): string => (Math.abs(value) >= 1e4 ? short(value) : Math.abs(value) < 1e-3 && value !== 0 ? value.toExponential(0) : plain(value));

/** Round numbers in a range, about so many of them. */
export function ticks(lo: number, hi: number, about: number): number[] {
  const width = hi - lo;
  if (!(width > 0)) return [lo];
  const rough = width / Math.max(about, 1);
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * ([1, 2, 5, 10].find((factor) => factor * unit >= rough) ?? 10);
  const found: number[] = [];
  for (let i = Math.ceil(lo / step); i * step <= hi + 1e-9 * width; i++) found.push(i * step);
  return found;
}

/** The frame of a plot with round numbers along x and y. */
export function axes(s: Sheet, box: Box, x: [number, number], y: [number, number], names: { x: string; y: string; log?: boolean }): void {
  const { theme } = s;
  const yTicks = names.log ? ticks(y[0], y[1], Math.min(6, y[1] - y[0])).filter(Number.isInteger) : ticks(y[0], y[1], 4);
  for (const value of yTicks) {
    const at = box.y + box.h * (1 - (value - y[0]) / (y[1] - y[0]));
    line(s, box.x, at, box.x + box.w, at, theme.grid);
    text(s, names.log ? `1e${value}` : number(value), box.x - 5, at, "right");
  }
  for (const value of ticks(x[0], x[1], Math.max(2, box.w / 90))) {
    text(s, number(value), box.x + (box.w * (value - x[0])) / (x[1] - x[0] || 1), box.y + box.h + 9, "center");
  }
  text(s, names.x, box.x + box.w, box.y + box.h + 22, "right", theme.faint);
  text(s, names.y, box.x - 40, box.y - 10, "left", theme.faint);
}

export function path(s: Sheet, points: [number, number][], colour: string, width = 1.6, dash: number[] = []): void {
  const { ctx } = s;
  ctx.strokeStyle = colour;
  ctx.lineWidth = width;
  ctx.setLineDash(dash);
  ctx.beginPath();
  points.forEach(([x, y], i) => (i ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.lineWidth = 1;
}

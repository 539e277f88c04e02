// The frame of a plot: grid, ticks, names.
import type { Theme } from "../core/colour";
import { linear, tickFormat, tickValues, type Scale } from "../core/scale";
import type { Box, Item } from "../draw/list";

export interface Plot {
  box: Box;
  x: Scale;
  y: Scale;
}

export function plot(box: Box, x: [number, number], y: [number, number]): Plot {
  return { box, x: linear(x, [box.x, box.x + box.w]), y: linear(y, [box.y + box.h, box.y]) };
}

export interface AxisLook {
  name?: string;
  label?: (value: number) => string | null;
  values?: number[];
  integers?: boolean;
  /** Pixels a tick should have to itself. */
  room?: number;
}

const SMALL = 11;

export function xAxis({ box, x }: Plot, theme: Theme, look: AxisLook): Item[] {
  const values = look.values ?? tickValues(x.domain, Math.max(2, box.w / (look.room ?? 64)), look.integers);
  const write = tickFormat(values);
  const base = box.y + box.h;
  const items: Item[] = [{ t: "segments", points: [box.x, base + 0.5, box.x + box.w, base + 0.5], stroke: theme.faint, width: 1 }];
  let free = -Infinity;
  for (const v of values) {
    if (v < x.domain[0] || v > x.domain[1] || x(v) < free) continue;
    free = x(v) + 22;
    items.push({ t: "segments", points: [x(v), base, x(v), base + 4], stroke: theme.faint, width: 1 });
    items.push({ t: "text", x: x(v), y: base + 8, text: (look.label?.(v) ?? write(v)).replace("-", "−"), size: SMALL, fill: theme.soft, anchor: "middle", base: "top" });
  }
  if (look.name) {
    items.push({ t: "text", x: box.x + box.w / 2, y: base + 24, text: look.name, size: 12, fill: theme.ink, anchor: "middle", base: "top" });
  }
  return items;
}

export function yAxis({ box, y }: Plot, theme: Theme, look: AxisLook, grid = true): Item[] {
  const values = look.values ?? tickValues(y.domain, Math.max(2, box.h / (look.room ?? 46)), look.integers);
  const write = tickFormat(values);
  const lines: number[] = [];
  const items: Item[] = [];
  let free = Infinity;
  for (const v of values) {
    if (v < Math.min(...y.domain) || v > Math.max(...y.domain)) continue;
    if (look.values && Math.abs(y(v) - free) < 12) continue;
    free = y(v);
    const at = Math.round(y(v)) + 0.5;
    lines.push(box.x, at, box.x + box.w, at);
    items.push({ t: "text", x: box.x - 8, y: y(v), text: (look.label?.(v) ?? write(v)).replace("-", "−"), size: SMALL, fill: theme.soft, anchor: "end" });
  }
  if (grid) items.unshift({ t: "segments", points: lines, stroke: theme.grid, width: 1 });
  if (look.name) {
    items.push({ t: "text", x: 13, y: box.y + box.h / 2, text: look.name, size: 12, fill: theme.ink, anchor: "middle", turn: -90 });
  }
  return items;
}

/** Room on the left for the tick labels of a range. */
export function leftRoom(domain: [number, number], height: number, label?: (v: number) => string | null): number {
  const values = tickValues(domain, Math.max(2, height / 46));
  const write = tickFormat(values);
  return 38 + Math.max(...values.map((v) => (label?.(v) ?? write(v)).length), 1) * 6.2;
}

/** Moves labels apart along one direction, keeping their order and as near as can be to where they were. */
export function spread(at: number[], gap: number, lo: number, hi: number): number[] {
  const order = at.map((_, i) => i).sort((a, b) => at[a] - at[b]);
  const out = [...at];
  let floor = lo;
  for (const i of order) {
    out[i] = Math.max(out[i], floor);
    floor = out[i] + gap;
  }
  let ceiling = hi;
  for (const i of order.reverse()) {
    out[i] = Math.min(out[i], ceiling);
    ceiling = out[i] - gap;
  }
  return out;
}

/** The level (0, 1, ...) of each centred label so that no two on one level touch. */
export function levels(at: number[], widths: number[]): number[] {
  const ends: number[] = [];
  const order = at.map((_, i) => i).sort((a, b) => at[a] - widths[a] / 2 - (at[b] - widths[b] / 2));
  const out = new Array<number>(at.length);
  for (const i of order) {
    let level = 0;
    while (ends[level] !== undefined && at[i] - widths[i] / 2 < ends[level] + 6) level++;
    ends[level] = at[i] + widths[i] / 2;
    out[i] = level;
  }
  return out;
}

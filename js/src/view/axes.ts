// The frame of a plot: grid, ticks, names.
import type { Theme } from "../core/colour";
import { linear, logTicks, scaled, tickFormat, tickValues, type Kind, type Scale } from "../core/scale";
import { textWidth, type Box, type Item } from "../draw/list";
import { standing } from "./labels";

export { levels, spread } from "./labels";

export interface Plot {
  box: Box;
  x: Scale;
  y: Scale;
}

/** Scales that are not straight: log and symlog; the knee is where symlog turns. */
export interface Bends {
  x?: Kind;
  y?: Kind;
  knee?: number;
}

export function plot(box: Box, x: [number, number], y: [number, number], bends: Bends = {}): Plot {
  return {
    box,
    x: bends.x ? scaled(bends.x, x, [box.x, box.x + box.w], bends.knee) : linear(x, [box.x, box.x + box.w]),
    y: bends.y ? scaled(bends.y, y, [box.y + box.h, box.y], bends.knee) : linear(y, [box.y + box.h, box.y]),
  };
}

export interface AxisLook {
  name?: string;
  label?: (value: number) => string | null;
  values?: number[];
  integers?: boolean;
  /** Pixels a tick should have to itself. */
  room?: number;
  bends?: Bends;
}

const SMALL = 11;
const minus = (text: string): string => text.replace("-", "−");
const power = (v: number): string => (v === 0 ? "0" : Math.abs(v) >= 1e4 || Math.abs(v) < 1e-3 ? v.toExponential(0).replace("e+", "e") : String(v));

export function xAxis({ box, x }: Plot, theme: Theme, look: AxisLook): Item[] {
  const bent = look.bends?.x && look.bends.x !== "linear" ? look.bends.x : null;
  const most = Math.max(2, box.w / (look.room ?? 64));
  const [lo, hi] = [Math.min(...x.domain), Math.max(...x.domain)];
  const values = (look.values ?? (bent ? logTicks(bent, x.domain, most, look.bends?.knee) : tickValues(x.domain, most, look.integers))).filter((v) => v >= lo && v <= hi);
  const write = bent ? power : tickFormat(values);
  const base = box.y + box.h;
  const items: Item[] = [{ t: "segments", points: [box.x, base + 0.5, box.x + box.w, base + 0.5], stroke: theme.faint, width: 1 }];
  const texts = values.map((v) => minus(look.label?.(v) ?? write(v)));
  const fits = standing(values.map(x), texts.map((text) => textWidth(text, SMALL)), (i) => values[i] === 0);
  values.forEach((v, i) => {
    items.push({ t: "segments", points: [x(v), base, x(v), base + 4], stroke: theme.faint, width: 1 });
    if (fits[i]) items.push({ t: "text", x: x(v), y: base + 8, text: texts[i], size: SMALL, fill: theme.soft, anchor: "middle", base: "top" });
  });
  if (look.name) {
    items.push({ t: "text", x: box.x + box.w / 2, y: base + 24, text: look.name, size: 12, fill: theme.ink, anchor: "middle", base: "top" });
  }
  return items;
}

export function yAxis({ box, y }: Plot, theme: Theme, look: AxisLook, grid = true): Item[] {
  const bent = look.bends?.y && look.bends.y !== "linear" ? look.bends.y : null;
  const most = Math.max(2, box.h / (look.room ?? 46));
  const [lo, hi] = [Math.min(...y.domain), Math.max(...y.domain)];
  const values = (look.values ?? (bent ? logTicks(bent, y.domain, most, look.bends?.knee) : tickValues(y.domain, most, look.integers))).filter((v) => v >= lo && v <= hi);
  const write = bent ? power : tickFormat(values);
  const lines: number[] = [];
  const items: Item[] = [];
  const fits = standing(values.map(y), values.map(() => SMALL), (i) => values[i] === 0, 2);
  values.forEach((v, i) => {
    const at = Math.round(y(v)) + 0.5;
    lines.push(box.x, at, box.x + box.w, at);
    if (fits[i]) items.push({ t: "text", x: box.x - 8, y: y(v), text: minus(look.label?.(v) ?? write(v)), size: SMALL, fill: theme.soft, anchor: "end" });
  });
  if (grid) items.unshift({ t: "segments", points: lines, stroke: theme.grid, width: 1 });
  if (look.name) {
    items.push({ t: "text", x: 13, y: box.y + box.h / 2, text: look.name, size: 12, fill: theme.ink, anchor: "middle", turn: -90 });
  }
  return items;
}

/** Room on the left for the tick labels of a range. */
export function leftRoom(domain: [number, number], height: number, label?: (v: number) => string | null, bends: Bends = {}): number {
  const bent = bends.y && bends.y !== "linear" ? bends.y : null;
  const values = bent ? logTicks(bent, domain, height / 46, bends.knee) : tickValues(domain, Math.max(2, height / 46));
  const write = bent ? power : tickFormat(values);
  return 38 + Math.max(...values.map((v) => (label?.(v) ?? write(v)).length), 1) * 6.2;
}

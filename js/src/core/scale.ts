import { format, formatSpecifier, precisionFixed } from "d3-format";
import type { Extent } from "./tensor";

export interface Scale {
  domain: [number, number];
  range: [number, number];
  (value: number): number;
  invert(pixel: number): number;
}

export function linear(domain: [number, number], range: [number, number]): Scale {
  const slope = (range[1] - range[0]) / (domain[1] - domain[0] || 1);
  const scale = ((value: number) => range[0] + (value - domain[0]) * slope) as Scale;
  scale.domain = domain;
  scale.range = range;
  scale.invert = (pixel) => domain[0] + (pixel - range[0]) / slope;
  return scale;
}

/** A domain with a margin around an extent; never empty. */
export function padded(e: Extent | null, margin = 0.06): [number, number] {
  if (!e) return [-1, 1];
  const span = e.hi - e.lo || Math.abs(e.hi) || 1;
  return [e.lo - span * margin, e.hi + span * margin];
}

/** Round values from lo to hi, about `count` of them: steps of 1, 2 or 5 times a power of ten. */
export function ticks(lo: number, hi: number, count: number): number[] {
  const rough = (hi - lo) / Math.max(1, count);
  if (!(rough > 0)) return [lo];
  const power = 10 ** Math.floor(Math.log10(rough));
  const error = rough / power;
  const step = power * (error >= 50 ** 0.5 ? 10 : error >= 10 ** 0.5 ? 5 : error >= 2 ** 0.5 ? 2 : 1);
  // Below 1 a division by the whole number 1/step gives 0.3 where a product gives 0.30000000000000004.
  const by = step < 1 ? Math.round(1 / step) : 0;
  const first = Math.ceil(lo / step);
  return Array.from({ length: Math.max(0, Math.floor(hi / step) - first + 1) }, (_, i) => (by ? (first + i) / by : (first + i) * step));
}

export function tickValues(domain: [number, number], count: number, integers = false): number[] {
  // The rows of a heat map run from top to bottom: their domain is turned round.
  const found = ticks(Math.min(...domain), Math.max(...domain), count);
  return integers ? [...new Set(found.filter(Number.isInteger))] : found;
}

/** One format for all the ticks of an axis, with the digits that tell them apart. */
export function tickFormat(values: number[]): (v: number) => string {
  const largest = Math.max(...values.map(Math.abs), 0);
  const step = values.length > 1 ? Math.abs(values[1] - values[0]) : largest || 1;
  if (largest && (largest >= 1e5 || largest < 1e-3)) {
    const digits = Math.max(0, Math.round(Math.log10(largest / step)));
    const sci = format(`.${digits}~e`);
    return (v) => (v === 0 ? "0" : sci(v));
  }
  return format(formatSpecifier(`.${precisionFixed(step)}f`).toString());
}

/** Four significant digits, for hovers and captions. */
export function digits(value: number): string {
  if (Number.isNaN(value)) return "gap (NaN)";
  if (!Number.isFinite(value)) return value > 0 ? "+inf" : "−inf";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-3 ? format(".3e")(value) : format(".4~r")(value);
}

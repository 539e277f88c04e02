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

const special = (value: number): string | null => (Number.isNaN(value) ? "NaN" : Number.isFinite(value) ? null : value > 0 ? "+inf" : "−inf");

/** Four significant digits, for measures and captions; whole numbers up to 10^5 as they are. */
export function digits(value: number): string {
  const word = special(value);
  if (word) return word;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e5) return format("d")(value);
  return size >= 1e5 || size < 1e-3 ? format(".3e")(value) : format(".4~r")(value);
}

/** The shortest decimal that is this float32 and no other: what was given, to the last digit. Where values are kept
 * with an error, the digits end at its size. */
export function exact(value: number, error = 0): string {
  const word = special(value);
  if (word) return word;
  if (error > 0) {
    const places = Math.ceil(-Math.log10(error));
    const rounded = places > 0 && places < 15 ? value.toFixed(places) : value.toPrecision(Math.max(1, Math.ceil(Math.log10(Math.abs(value) || 1)) + places));
    return decimal(Number(rounded));
  }
  const single = Math.fround(value);
  for (let n = 1; n < 10; n++) {
    const text = single.toPrecision(n);
    if (Math.fround(Number(text)) === single) return decimal(Number(text));
  }
  return decimal(single);
}

const decimal = (value: number): string => {
  const size = Math.abs(value);
  const text = size !== 0 && (size >= 1e9 || size < 1e-5) ? value.toExponential() : String(value);
  return text.replace("-", "−").replace("e+", "e").replace("e-", "e−");
};

export type Kind = "linear" | "log" | "symlog";

/** A scale of a kind: log shows what is above 0 only; symlog is linear within `knee` of 0 and logarithmic beyond. */
export function scaled(kind: Kind, domain: [number, number], range: [number, number], knee = 1): Scale {
  if (kind === "linear") return linear(domain, range);
  const bend = kind === "log" ? (v: number) => (v > 0 ? Math.log10(v) : NaN) : (v: number) => Math.sign(v) * Math.log10(1 + Math.abs(v) / knee);
  const unbend = kind === "log" ? (v: number) => 10 ** v : (v: number) => Math.sign(v) * knee * (10 ** Math.abs(v) - 1);
  const inner = linear([bend(domain[0]), bend(domain[1])], range);
  const scale = ((value: number) => inner(bend(value))) as Scale;
  scale.domain = domain;
  scale.range = range;
  scale.invert = (pixel) => unbend(inner.invert(pixel));
  return scale;
}

/** Powers of ten within a domain, both signs for symlog; at most about `count`. */
export function logTicks(kind: Kind, domain: [number, number], count: number, knee = 1): number[] {
  const [lo, hi] = [Math.min(...domain), Math.max(...domain)];
  const decades = (from: number, to: number): number[] => {
    const [a, b] = [Math.ceil(Math.log10(from) - 1e-9), Math.floor(Math.log10(to) + 1e-9)];
    const every = Math.max(1, Math.ceil((b - a + 1) / Math.max(1, count)));
    const out: number[] = [];
    for (let e = a; e <= b; e++) if ((e - a) % every === 0) out.push(10 ** e);
    return out;
  };
  if (kind === "log") {
    const found = decades(lo, hi);
    return found.length > 1 ? found : ticks(lo, hi, count).filter((v) => v > 0);
  }
  const up = hi > knee ? decades(Math.max(lo, knee), hi) : [];
  const down = lo < -knee ? decades(Math.max(-hi, knee), -lo).map((v) => -v) : [];
  const found = [...down.reverse(), ...(lo <= 0 && hi >= 0 ? [0] : []), ...up];
  return found.length > 2 ? found : ticks(lo, hi, count);
}

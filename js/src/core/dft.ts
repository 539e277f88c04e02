// Real Fourier analysis of short waves in the package's normalisation: x[n] = sum_k A_k cos(2 pi k n / p + phase_k)
// with k in 0..p/2. Power is A^2/2, but A^2 for DC and, for even p, Nyquist: it sums to the mean square.
import { transform } from "./fft";

export interface Phasors {
  p: number;
  re: Float64Array;
  im: Float64Array;
}

const tables = new Map<number, { cos: Float64Array; sin: Float64Array }>();

function table(p: number) {
  let found = tables.get(p);
  if (!found) {
    found = { cos: new Float64Array(p), sin: new Float64Array(p) };
    for (let n = 0; n < p; n++) {
      found.cos[n] = Math.cos((2 * Math.PI * n) / p);
      found.sin[n] = Math.sin((2 * Math.PI * n) / p);
    }
    tables.set(p, found);
  }
  return found;
}

/** One component only: DC, and Nyquist of an even p. */
export const isSingle = (k: number, p: number): boolean => k === 0 || 2 * k === p;

/** Up to here a product with a table is as fast as the transform by halves. */
const DIRECT = 128;

/** The phasors C_k, k = 0..p/2, with x[n] = sum_k Re(C_k e^{2 pi i k n / p}). Gaps (NaN) count as the mean. */
export function phasors(wave: ArrayLike<number>): Phasors {
  const p = wave.length;
  const x = filled(wave);
  const half = p >> 1;
  const re = new Float64Array(half + 1);
  const im = new Float64Array(half + 1);
  if (p > DIRECT) {
    const y = new Float64Array(p);
    transform(x, y);
    for (let k = 0; k <= half; k++) {
      const scale = isSingle(k, p) ? 1 / p : 2 / p;
      re[k] = x[k] * scale;
      im[k] = isSingle(k, p) ? 0 : y[k] * scale;
    }
    return { p, re, im };
  }
  const { cos, sin } = table(p);
  for (let k = 0; k <= half; k++) {
    let a = 0;
    let b = 0;
    for (let n = 0, at = 0; n < p; n++) {
      a += x[n] * cos[at];
      b -= x[n] * sin[at];
      at += k;
      if (at >= p) at -= p;
    }
    const scale = isSingle(k, p) ? 1 / p : 2 / p;
    re[k] = a * scale;
    im[k] = isSingle(k, p) ? 0 : b * scale;
  }
  return { p, re, im };
}

function filled(wave: ArrayLike<number>): Float64Array {
  let sum = 0;
  let count = 0;
  for (let n = 0; n < wave.length; n++) {
    if (Number.isFinite(wave[n])) {
      sum += wave[n];
      count++;
    }
  }
  const mean = count ? sum / count : 0;
  return Float64Array.from({ length: wave.length }, (_, n) => (Number.isFinite(wave[n]) ? wave[n] : mean));
}

export const amplitude = (c: Phasors): Float64Array => c.re.map((a, k) => Math.hypot(a, c.im[k]));
export const phase = (c: Phasors): Float64Array => c.re.map((a, k) => Math.atan2(c.im[k], a));
export const power = (c: Phasors): Float64Array =>
  c.re.map((a, k) => (a * a + c.im[k] * c.im[k]) * (isSingle(k, c.p) ? 1 : 0.5));

/** Shares of the centred energy (DC left out); all zero for a constant wave. */
export function shares(c: Phasors): Float64Array {
  const w = power(c);
  const rounding = 1e-28 * w[0];
  w[0] = 0;
  const total = w.reduce((sum, v) => sum + v, 0);
  return total > rounding ? w.map((v) => v / total) : w.fill(0);
}

/** The wave at any positions, kept frequencies only: band-limited interpolation through the samples. */
export function synthesise(c: Phasors, positions: ArrayLike<number>, keep?: (k: number) => boolean): Float64Array {
  const out = new Float64Array(positions.length);
  for (let k = 0; k < c.re.length; k++) {
    if (keep && !keep(k)) continue;
    if (c.re[k] === 0 && c.im[k] === 0) continue;
    const w = (2 * Math.PI * k) / c.p;
    for (let i = 0; i < out.length; i++) {
      out[i] += c.re[k] * Math.cos(w * positions[i]) - c.im[k] * Math.sin(w * positions[i]);
    }
  }
  return out;
}

/** The wave at its p samples, kept frequencies only. */
export function rebuild(c: Phasors, keep: (k: number) => boolean): Float32Array {
  const { p } = c;
  const out = new Float32Array(p);
  if (p > DIRECT) {
    // The inverse transform by the forward one: of the conjugate.
    const x = new Float64Array(p);
    const y = new Float64Array(p);
    for (let k = 0; k < c.re.length; k++) {
      if (!keep(k)) continue;
      x[k] = c.re[k];
      y[k] = -c.im[k];
    }
    transform(x, y);
    return Float32Array.from(x);
  }
  const { cos, sin } = table(p);
  for (let n = 0; n < p; n++) {
    let sum = 0;
    for (let k = 0, at = 0; k < c.re.length; k++, at = (at + n) % p) {
      if (keep(k)) sum += c.re[k] * cos[at] - c.im[k] * sin[at];
    }
    out[n] = sum;
  }
  return out;
}

export type Quantity = "amplitude" | "power" | "db" | "phase" | "cossin" | "share";

/** The phasors of a picture with rows y and columns x: C(j, k) with x[m, n] = sum Re(C e^{2 pi i (j m / rows + k n / columns)})
 * over one of each pair of frequencies (j, k), (-j, -k), so a wave of amplitude A has |C| = A at both of its places, as
 * in one dimension. Frequencies are signed and centred: row i is frequency i - floor(rows / 2). */
export interface Plane {
  rows: number;
  columns: number;
  re: Float64Array;
  im: Float64Array;
}

const own = (i: number, n: number): boolean => i === 0 || 2 * i === n;

/** The transform of a picture in steps of a few milliseconds: yields the share that is done, returns the plane. */
export function* planeSteps(picture: ArrayLike<number>, rows: number, columns: number): Generator<number, Plane, void> {
  const x = filled(picture);
  const half = columns >> 1;
  const across = { re: new Float64Array(rows * (half + 1)), im: new Float64Array(rows * (half + 1)) };
  const pause = Math.max(1, Math.round(40_000 / (columns + rows)));
  const a = new Float64Array(columns);
  const b = new Float64Array(columns);
  // Two real rows are one complex one.
  for (let y = 0; y < rows; y += 2) {
    a.set(x.subarray(y * columns, (y + 1) * columns));
    if (y + 1 < rows) b.set(x.subarray((y + 1) * columns, (y + 2) * columns));
    else b.fill(0);
    transform(a, b);
    for (let k = 0; k <= half; k++) {
      const m = k ? columns - k : 0;
      const at = y * (half + 1) + k;
      across.re[at] = (a[k] + a[m]) / 2;
      across.im[at] = (b[k] - b[m]) / 2;
      if (y + 1 >= rows) continue;
      across.re[at + half + 1] = (b[k] + b[m]) / 2;
      across.im[at + half + 1] = (a[m] - a[k]) / 2;
    }
    if ((y / 2) % pause === pause - 1) yield (0.5 * y) / rows;
  }
  const out: Plane = { rows, columns, re: new Float64Array(rows * columns), im: new Float64Array(rows * columns) };
  const place = (j: number, k: number) => ((j + (rows >> 1)) % rows) * columns + ((k + (columns >> 1)) % columns);
  const u = new Float64Array(rows);
  const v = new Float64Array(rows);
  for (let k = 0; k <= half; k++) {
    for (let y = 0; y < rows; y++) {
      u[y] = across.re[y * (half + 1) + k];
      v[y] = across.im[y * (half + 1) + k];
    }
    transform(u, v);
    for (let j = 0; j < rows; j++) {
      const scale = (own(k, columns) && own(j, rows) ? 1 : 2) / (rows * columns);
      const there = place((rows - j) % rows, (columns - k) % columns);
      out.re[there] = u[j] * scale;
      out.im[there] = -v[j] * scale;
      const here = place(j, k);
      out.re[here] = u[j] * scale;
      out.im[here] = v[j] * scale;
    }
    if (k % pause === pause - 1) yield 0.5 + (0.5 * k) / half;
  }
  return out;
}

export function plane(picture: ArrayLike<number>, rows: number, columns: number): Plane {
  const steps = planeSteps(picture, rows, columns);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** One number for each frequency of a plane, centred like it: the quantity of the wave that lies there, in both of its
 * places. Shares leave the mean out; "cossin" is the coefficient of the cosine. */
export function planeQuantity(c: Plane, quantity: Quantity): Float32Array {
  const { rows, columns, re, im } = c;
  const [cy, cx] = [rows >> 1, columns >> 1];
  const powers = () =>
    Float64Array.from(re, (a, i) => {
      const [j, k] = [Math.floor(i / columns) - cy, (i % columns) - cx];
      return (a * a + im[i] * im[i]) * (own(j < 0 ? j + rows : j, rows) && own(k < 0 ? k + columns : k, columns) ? 1 : 0.5);
    });
  switch (quantity) {
    case "amplitude":
      return Float32Array.from(re, (a, i) => Math.hypot(a, im[i]));
    case "phase":
      return Float32Array.from(re, (a, i) => Math.atan2(im[i], a));
    case "cossin":
      return Float32Array.from(re);
    case "power":
      return Float32Array.from(powers());
    case "db":
      return Float32Array.from(powers(), (v) => 10 * Math.log10(Math.max(v, 1e-20)));
    case "share": {
      const w = powers();
      const mean = cy * columns + cx;
      const rounding = 1e-28 * w[mean];
      w[mean] = 0;
      let total = 0;
      w.forEach((v, i) => {
        const [j, k] = [Math.floor(i / columns) - cy, (i % columns) - cx];
        // A wave lies in two places, unless both of its frequencies are their own negative.
        total += own(j < 0 ? j + rows : j, rows) && own(k < 0 ? k + columns : k, columns) ? v : v / 2;
      });
      return Float32Array.from(w, (v) => (total > rounding ? v / total : 0));
    }
  }
}

/** The numbers of one spectrum in a quantity; "cossin" is the 2-row pair (cos then sin coefficients). */
export function quantityOf(c: Phasors, quantity: Quantity): Float64Array {
  switch (quantity) {
    case "amplitude":
      return amplitude(c);
    case "power":
      return power(c);
    case "db":
      return power(c).map((v) => 10 * Math.log10(Math.max(v, 1e-20)));
    case "phase":
      return phase(c);
    case "share":
      return shares(c);
    case "cossin": {
      const out = new Float64Array(2 * c.re.length);
      out.set(c.re);
      out.set(
        c.im.map((v) => -v),
        c.re.length,
      );
      return out;
    }
  }
}

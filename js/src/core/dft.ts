// Real Fourier analysis of short waves in the package's normalisation: x[n] = sum_k A_k cos(2 pi k n / p + phase_k)
// with k in 0..p/2. Power is A^2/2, but A^2 for DC and, for even p, Nyquist: it sums to the mean square.

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

/** The phasors C_k, k = 0..p/2, with x[n] = sum_k Re(C_k e^{2 pi i k n / p}). Gaps (NaN) count as the mean. */
export function phasors(wave: ArrayLike<number>): Phasors {
  const p = wave.length;
  const { cos, sin } = table(p);
  const x = filled(wave);
  const half = p >> 1;
  const re = new Float64Array(half + 1);
  const im = new Float64Array(half + 1);
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
  const { cos, sin } = table(p);
  const out = new Float32Array(p);
  for (let n = 0; n < p; n++) {
    let sum = 0;
    for (let k = 0, at = 0; k < c.re.length; k++, at = (at + n) % p) {
      if (keep(k)) sum += c.re[k] * cos[at] - c.im[k] * sin[at];
    }
    out[n] = sum;
  }
  return out;
}

export type PlaneQuantity = "amplitude" | "db" | "phase";

function planeValue(re: number, im: number, quantity: PlaneQuantity): number {
  if (quantity === "phase") return Math.atan2(im, re);
  const size = Math.hypot(re, im);
  return quantity === "db" ? 20 * Math.log10(Math.max(size, 1e-10)) : size;
}

/** The two-dimensional DFT of a picture with rows y and columns x, as amplitude, dB of power or phase; both
 * frequencies are signed and centred: row i is frequency i - floor(p/2). A real cosine has two peaks of A/2. */
export function plane(picture: ArrayLike<number>, rows: number, columns: number, quantity: PlaneQuantity = "amplitude"): Float32Array {
  const alongX = { re: new Float64Array(rows * columns), im: new Float64Array(rows * columns) };
  const tx = table(columns);
  for (let y = 0; y < rows; y++) {
    for (let k = 0; k <= columns >> 1; k++) {
      let a = 0;
      let b = 0;
      for (let n = 0, at = 0; n < columns; n++, at = at + k < columns ? at + k : at + k - columns) {
        const v = picture[y * columns + n];
        if (!Number.isFinite(v)) continue;
        a += v * tx.cos[at];
        b -= v * tx.sin[at];
      }
      alongX.re[y * columns + k] = a;
      alongX.im[y * columns + k] = b;
    }
  }
  const ty = table(rows);
  const out = new Float32Array(rows * columns);
  const shiftX = columns >> 1;
  const shiftY = rows >> 1;
  const col = { re: new Float64Array(rows), im: new Float64Array(rows) };
  // The picture is real: what is at (-j, -k) is the conjugate of what is at (j, k), so half of the columns do.
  for (let k = 0; k <= shiftX; k++) {
    for (let y = 0; y < rows; y++) {
      col.re[y] = alongX.re[y * columns + k];
      col.im[y] = alongX.im[y * columns + k];
    }
    for (let j = 0; j < rows; j++) {
      let a = 0;
      let b = 0;
      for (let n = 0, at = 0; n < rows; n++, at = at + j < rows ? at + j : at + j - rows) {
        a += col.re[n] * ty.cos[at] + col.im[n] * ty.sin[at];
        b += col.im[n] * ty.cos[at] - col.re[n] * ty.sin[at];
      }
      const [re, im] = [a / (rows * columns), b / (rows * columns)];
      out[((rows - j + shiftY) % rows) * columns + ((columns - k + shiftX) % columns)] = planeValue(re, -im, quantity);
      out[((j + shiftY) % rows) * columns + ((k + shiftX) % columns)] = planeValue(re, im, quantity);
    }
  }
  return out;
}

export type Quantity = "amplitude" | "power" | "db" | "phase" | "cossin" | "share";

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

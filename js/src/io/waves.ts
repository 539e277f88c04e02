// Pictures kept as sums of waves: a step for each, and whole numbers for the coefficients in the orthonormal basis
// 1, cos 1, sin 1, cos 2, ... of their rows and columns.

/** The basis, function by function. */
function basis(n: number): Float64Array[] {
  const wave = (size: number, of: (at: number) => number, k: number) =>
    Float64Array.from({ length: n }, (_, i) => Math.sqrt(size / n) * of((2 * Math.PI * ((k * i) % n)) / n));
  const out = [wave(1, Math.cos, 0)];
  for (let k = 1; 2 * k <= n; k++) {
    if (2 * k === n) out.push(wave(1, Math.cos, k));
    else out.push(wave(2, Math.cos, k), wave(2, Math.sin, k));
  }
  return out;
}

/** Pictures [a, b] as [c, a] with c = a + b mod p. */
export function overC(pairs: Float32Array, p: number): Float32Array {
  const out = new Float32Array(pairs.length);
  for (let base = 0; base < pairs.length; base += p * p) {
    for (let a = 0; a < p; a++) for (let b = 0; b < p; b++) out[base + ((a + b) % p) * p + a] = pairs[base + a * p + b];
  }
  return out;
}

/** The values; `planes` are the low, middle and high bytes of the numbers [coefficient, picture], signs lowest. */
export function summed(steps: Float32Array, planes: Uint8Array, shape: readonly number[]): Float32Array {
  const [rows, columns] = shape.slice(-2);
  const count = rows * columns * steps.length;
  const [down, across] = [basis(rows), basis(columns)];
  const out = new Float32Array(count);
  const lines = new Float64Array(columns);
  const picture = new Float64Array(rows * columns);
  for (let p = 0; p < steps.length; p++) {
    picture.fill(0);
    for (let r = 0; r < rows; r++) {
      let some = false;
      for (let c = 0; c < columns; c++) {
        const at = (r * columns + c) * steps.length + p;
        const zigzag = planes[at] | (planes[count + at] << 8) | (planes[2 * count + at] << 16);
        if (!zigzag) continue;
        if (!some) lines.fill(0);
        some = true;
        const code = (zigzag >>> 1) ^ -(zigzag & 1);
        const wave = across[c];
        for (let i = 0; i < columns; i++) lines[i] += code * wave[i];
      }
      if (!some) continue;
      for (let m = 0, i = 0; m < rows; m++) {
        const weight = steps[p] * down[r][m];
        for (let n = 0; n < columns; n++, i++) picture[i] += weight * lines[n];
      }
    }
    out.set(picture, p * rows * columns);
  }
  return out;
}

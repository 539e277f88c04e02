// The discrete Fourier transform of any length in O(n log n): powers of two by halving, others as a convolution
// with a chirp (Bluestein).

interface Halving {
  reversed: Uint32Array;
  cos: Float64Array;
  sin: Float64Array;
}

interface Chirp {
  size: number;
  cos: Float64Array;
  sin: Float64Array;
  re: Float64Array;
  im: Float64Array;
}

const halvings = new Map<number, Halving>();
const chirps = new Map<number, Chirp>();

function halvingOf(n: number): Halving {
  let found = halvings.get(n);
  if (found) return found;
  found = { reversed: new Uint32Array(n), cos: new Float64Array(n / 2), sin: new Float64Array(n / 2) };
  const bits = Math.log2(n);
  for (let i = 1; i < n; i++) found.reversed[i] = (found.reversed[i >> 1] >> 1) | ((i & 1) << (bits - 1));
  for (let i = 0; i < n / 2; i++) {
    found.cos[i] = Math.cos((2 * Math.PI * i) / n);
    found.sin[i] = -Math.sin((2 * Math.PI * i) / n);
  }
  halvings.set(n, found);
  return found;
}

function halved(re: Float64Array, im: Float64Array): void {
  const n = re.length;
  const { reversed, cos, sin } = halvingOf(n);
  for (let i = 0; i < n; i++) {
    const j = reversed[i];
    if (j <= i) continue;
    [re[i], re[j]] = [re[j], re[i]];
    [im[i], im[j]] = [im[j], im[i]];
  }
  for (let half = 1; half < n; half *= 2) {
    const stride = n / (2 * half);
    for (let start = 0; start < n; start += 2 * half) {
      for (let k = 0, at = 0; k < half; k++, at += stride) {
        const [a, b] = [start + k, start + k + half];
        const x = re[b] * cos[at] - im[b] * sin[at];
        const y = re[b] * sin[at] + im[b] * cos[at];
        re[b] = re[a] - x;
        im[b] = im[a] - y;
        re[a] += x;
        im[a] += y;
      }
    }
  }
}

function chirpOf(n: number): Chirp {
  let found = chirps.get(n);
  if (found) return found;
  const size = 2 ** Math.ceil(Math.log2(2 * n - 1));
  found = { size, cos: new Float64Array(n), sin: new Float64Array(n), re: new Float64Array(size), im: new Float64Array(size) };
  for (let i = 0; i < n; i++) {
    // i * i mod 2n keeps the angle small and exact.
    const angle = (Math.PI * ((i * i) % (2 * n))) / n;
    found.cos[i] = Math.cos(angle);
    found.sin[i] = Math.sin(angle);
    found.re[i] = found.cos[i];
    found.im[i] = found.sin[i];
    if (i) {
      found.re[size - i] = found.cos[i];
      found.im[size - i] = found.sin[i];
    }
  }
  halved(found.re, found.im);
  chirps.set(n, found);
  return found;
}

/** X[k] = sum_n x[n] e^{-2 pi i k n / N}, in place, for any N >= 1. */
export function transform(re: Float64Array, im: Float64Array): void {
  const n = re.length;
  if (n < 2) return;
  if ((n & (n - 1)) === 0) return halved(re, im);
  const chirp = chirpOf(n);
  const { size } = chirp;
  const x = new Float64Array(size);
  const y = new Float64Array(size);
  for (let i = 0; i < n; i++) {
    x[i] = re[i] * chirp.cos[i] + im[i] * chirp.sin[i];
    y[i] = im[i] * chirp.cos[i] - re[i] * chirp.sin[i];
  }
  halved(x, y);
  // Times the chirp's transform; conjugated, so that a second forward transform turns it back.
  for (let i = 0; i < size; i++) {
    const real = x[i] * chirp.re[i] - y[i] * chirp.im[i];
    y[i] = -(x[i] * chirp.im[i] + y[i] * chirp.re[i]);
    x[i] = real;
  }
  halved(x, y);
  for (let i = 0; i < n; i++) {
    const [a, b] = [x[i] / size, -y[i] / size];
    re[i] = a * chirp.cos[i] + b * chirp.sin[i];
    im[i] = b * chirp.cos[i] - a * chirp.sin[i];
  }
}

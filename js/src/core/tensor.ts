// Row-major tensors: strides and slices.

export interface TensorMeta {
  name: string;
  dims: string[];
  shape: number[];
  enc: "f32" | "i16" | "waves" | "sheared";
  /** Largest error of a value against the array given in Python; 0 where the float32 is kept. */
  error: number;
  /** Null where the whole was never computed. */
  lo: number | null;
  hi: number | null;
  nan: number;
  inf: number;
  /** Values that were masked in Python; they are NaN with bits of their own. */
  masked?: number;
  /** What float32 could not keep of the array given, in words. */
  lost?: string;
  /** Where the block is: the id of an inline block, a buffer number or a file. */
  src: string;
  /** Axes cut down to one index before sending: name -> [index kept, full size]. */
  kept?: Record<string, [number, number]>;
}

export function strides(shape: readonly number[]): number[] {
  const out = new Array<number>(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) out[i] = out[i + 1] * shape[i + 1];
  return out;
}

export const size = (shape: readonly number[]): number => shape.reduce((n, s) => n * s, 1);

/** Whether the values over these axes lie one after the other: they are the last axes in order, but for axes of size 1. */
export function isBlock(shape: readonly number[], keep: readonly number[]): boolean {
  const long = (axes: readonly number[]) => axes.filter((axis) => shape[axis] > 1);
  const wanted = long(keep);
  const last = long(shape.map((_, axis) => axis)).slice(wanted.length ? -wanted.length : Infinity);
  return keep.length > 0 && wanted.every((axis, i) => axis === last[i]);
}

/** The values over the axes `keep`, in that order, with every other axis at its index: a view of the data where they
 * lie one after the other. */
export function slice(
  data: ArrayLike<number>,
  shape: readonly number[],
  keep: readonly number[],
  index: readonly number[],
): Float32Array {
  const step = strides(shape);
  let base = 0;
  for (let i = 0; i < shape.length; i++) if (!keep.includes(i)) base += index[i] * step[i];
  if (data instanceof Float32Array && isBlock(shape, keep)) return data.subarray(base, base + size(keep.map((axis) => shape[axis])));
  const out = new Float32Array(size(keep.map((axis) => shape[axis])));
  let at = 0;
  const walk = (depth: number, from: number) => {
    const axis = keep[depth];
    const by = step[axis];
    if (depth === keep.length - 1) {
      for (let n = 0, i = from; n < shape[axis]; n++, i += by) out[at++] = data[i];
      return;
    }
    for (let n = 0; n < shape[axis]; n++) walk(depth + 1, from + n * by);
  };
  if (keep.length) walk(0, base);
  else out[0] = data[base];
  return out;
}

export interface Extent {
  lo: number;
  hi: number;
}

/** Smallest and largest finite value; null where there is none. */
export function extent(...arrays: ArrayLike<number>[]): Extent | null {
  let lo = Infinity;
  let hi = -Infinity;
  for (const values of arrays) {
    for (let i = 0; i < values.length; i++) {
      const v = values[i];
      if (v < lo && v !== -Infinity) lo = v;
      if (v > hi && v !== Infinity) hi = v;
    }
  }
  return lo <= hi ? { lo, hi } : null;
}

/** Mean plus and minus three standard deviations, within the extent: a range that outliers do not stretch. */
export function robustExtent(values: ArrayLike<number>): Extent | null {
  const whole = extent(values);
  if (!whole) return null;
  let n = 0;
  let mean = 0;
  let m2 = 0;
  for (let i = 0; i < values.length; i++) {
    const v = values[i];
    if (!Number.isFinite(v)) continue;
    n++;
    const d = v - mean;
    mean += d / n;
    m2 += d * (v - mean);
  }
  const reach = 3 * Math.sqrt(m2 / n);
  return { lo: Math.max(whole.lo, mean - reach), hi: Math.min(whole.hi, mean + reach) };
}

/** NaN with these bits stands for a masked value. */
export const MASK_BITS = 0x7fc05a5a;

/** 1 where a value is masked. */
export function maskOf(data: Float32Array): Uint8Array {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  return Uint8Array.from(bits, (one) => (one === MASK_BITS ? 1 : 0));
}

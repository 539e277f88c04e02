// Long lines in few points: the smallest and largest sample of each pixel, so that no spike is lost.

/** Positions and values with at most about two points a pixel. Both must be sorted by position; gaps stay gaps. */
export function decimated(xs: ArrayLike<number>, ys: ArrayLike<number>, pixels: number): { xs: ArrayLike<number>; ys: ArrayLike<number> } {
  const n = xs.length;
  if (n <= 4 * pixels || pixels < 1) return { xs, ys };
  const outX: number[] = [];
  const outY: number[] = [];
  const [first, last] = [xs[0], xs[n - 1]];
  const width = (last - first) / pixels;
  let at = 0;
  for (let pixel = 0; pixel < pixels && at < n; pixel++) {
    const end = pixel === pixels - 1 ? Infinity : first + (pixel + 1) * width;
    const start = at;
    let [low, high, gap] = [-1, -1, false];
    while (at < n && xs[at] < end) {
      if (!Number.isFinite(ys[at])) gap = true;
      else {
        if (low < 0 || ys[at] < ys[low]) low = at;
        if (high < 0 || ys[at] > ys[high]) high = at;
      }
      at++;
    }
    if (start === at) continue;
    const [one, other] = low <= high ? [low, high] : [high, low];
    if (one >= 0) {
      outX.push(xs[one]);
      outY.push(ys[one]);
      if (other !== one) {
        outX.push(xs[other]);
        outY.push(ys[other]);
      }
    }
    if (gap) {
      outX.push(xs[at - 1]);
      outY.push(NaN);
    }
  }
  return { xs: outX, ys: outY };
}

/** A picture with at most so many rows and columns: of the cells that share a place, the one farthest from `middle`. */
export function thinned(values: Float32Array, rows: number, columns: number, most: { rows: number; columns: number }, middle: number): { values: Float32Array; rows: number; columns: number; by: number } {
  const by = Math.max(1, Math.ceil(rows / most.rows), Math.ceil(columns / most.columns));
  if (by === 1) return { values, rows, columns, by };
  const [r, c] = [Math.ceil(rows / by), Math.ceil(columns / by)];
  const out = new Float32Array(r * c).fill(NaN);
  const far = new Float32Array(r * c).fill(-1);
  for (let y = 0, i = 0; y < rows; y++) {
    const base = Math.floor(y / by) * c;
    for (let place = base, x = 0; x < columns; place++) {
      let most = far[place];
      let best = out[place];
      const end = Math.min(x + by, columns);
      for (; x < end; x++, i++) {
        const v = values[i];
        const d = Math.abs(v - middle);
        if (d > most) {
          most = d;
          best = v;
        }
      }
      far[place] = most;
      out[place] = best;
    }
  }
  return { values: out, rows: r, columns: c, by };
}

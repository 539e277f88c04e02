// How samples on a circle are joined when nobody says: as the band-limited curve where the wave is one, straight where
// that curve would show what is not in the samples (rectified, stepped, spiky waves).
import { phasors, power } from "./dft";

/** Two samples or more that rest on one outermost value: the mark of a rectifier or of a clip. */
function rests(wave: ArrayLike<number>): boolean {
  let [lo, hi, low, high, same] = [Infinity, -Infinity, 0, 0, 0];
  for (let i = 0; i < wave.length; i++) {
    const v = wave[i];
    if (v < lo) [lo, low] = [v, 0];
    if (v > hi) [hi, high] = [v, 0];
    if (v === lo) low++;
    if (v === hi) high++;
    if (i && v === wave[i - 1]) same++;
  }
  if (lo === hi) return false;
  return same > wave.length / 8 || ((low > 2 || high > 2) && same > 1);
}

/** Whether a few frequencies make the wave: 95 % of its energy lies in a quarter of them. */
function sparse(wave: ArrayLike<number>): boolean {
  const w = power(phasors(wave)).slice(1).sort().reverse();
  let total = 0;
  for (const v of w) total += v;
  if (!(total > 0)) return true;
  let kept = 0;
  for (let i = 0; i < w.length; i++) {
    kept += w[i];
    if (kept > 0.95 * total) return i + 1 <= Math.max(2, w.length / 4);
  }
  return true;
}

const LONGEST = 512;
const LOOKED_AT = 12;

/** Whether all waves (rows of length n, one after the other) are band-limited: judged from rows spread over them,
 * rectified ones from every row. */
export function bandLimited(waves: Float32Array, n: number): boolean {
  if (n < 5 || n > LONGEST) return false;
  const rows = Math.floor(waves.length / n);
  const row = (i: number) => waves.subarray(i * n, (i + 1) * n);
  for (let i = 0; i < rows; i += Math.max(1, Math.floor(rows / 128))) if (rests(row(i))) return false;
  let [yes, seen] = [0, 0];
  for (let i = 0; i < rows; i += Math.max(1, Math.floor(rows / LOOKED_AT))) {
    seen++;
    if (sparse(row(i))) yes++;
  }
  return 2 * yes > seen;
}

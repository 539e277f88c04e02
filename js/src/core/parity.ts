// Even and odd parts of a wave about s/2: the reflection n -> s - n mod p. For fractional s the wave is
// reflected by its band-limited interpolation.
import { mod } from "./modp";
import { phasors, synthesise } from "./dft";

export function reflect(wave: ArrayLike<number>, s: number): Float64Array {
  const p = wave.length;
  if (Number.isInteger(s)) return Float64Array.from({ length: p }, (_, n) => wave[mod(s - n, p)]);
  return synthesise(
    phasors(wave),
    Float64Array.from({ length: p }, (_, n) => s - n),
  );
}

export interface Parity {
  mean: number;
  even: Float64Array;
  odd: Float64Array;
  /** Share of the centred energy in the even part: 1 is symmetric, white noise gives about 1/2. */
  share: number;
}

export function parity(wave: ArrayLike<number>, s: number): Parity {
  const p = wave.length;
  const mirrored = reflect(wave, s);
  let mean = 0;
  for (let n = 0; n < p; n++) mean += wave[n] / p;
  const even = new Float64Array(p);
  const odd = new Float64Array(p);
  let kept = 0;
  let total = 0;
  for (let n = 0; n < p; n++) {
    even[n] = (wave[n] + mirrored[n]) / 2 - mean;
    odd[n] = (wave[n] - mirrored[n]) / 2;
    kept += even[n] ** 2;
    total += (wave[n] - mean) ** 2;
  }
  return { mean, even, odd, share: total > 0 ? kept / total : NaN };
}

// Orders of the rows of an axis, for small multiples and ridge lines.
import { amplitude, phase, phasors, shares } from "./dft";

export type SortKey = "index" | "peak" | "phase" | "share" | "size";

export interface RowFacts {
  row: number;
  peak: number;
  phase: number;
  share: number;
  size: number;
  /** Phase at a frequency that all rows are asked for. */
  common?: number;
}

/** Peak frequency (DC left out), its phase and share of the energy, and the root mean square of a wave. */
export function rowFacts(wave: ArrayLike<number>, row: number): RowFacts {
  const c = phasors(wave);
  const a = amplitude(c);
  let peak = a.length > 1 ? 1 : 0;
  for (let k = 2; k < a.length; k++) if (a[k] > a[peak]) peak = k;
  let energy = 0;
  for (let n = 0; n < wave.length; n++) energy += wave[n] ** 2 / wave.length;
  return { row, peak, phase: phase(c)[peak], share: shares(c)[peak], size: Math.sqrt(energy) };
}

/** The facts of many waves, with their phases at the one frequency that is strongest in all of them together. */
export function factsOf(rows: ArrayLike<number>[]): { facts: RowFacts[]; k: number } {
  const all = rows.map(phasors);
  const total = new Float64Array(all[0]?.re.length ?? 1);
  for (const c of all) for (let k = 1; k < total.length; k++) total[k] += c.re[k] ** 2 + c.im[k] ** 2;
  const k = total.indexOf(Math.max(...total));
  return { k, facts: rows.map((wave, row) => ({ ...rowFacts(wave, row), common: Math.atan2(all[row].im[k], all[row].re[k]) })) };
}

/** Rows in order: by peak frequency then phase, by phase at the strongest frequency of all, by falling share or size, or as they are. */
export function order(facts: RowFacts[], key: SortKey): number[] {
  const by: Record<SortKey, (a: RowFacts, b: RowFacts) => number> = {
    index: (a, b) => a.row - b.row,
    peak: (a, b) => a.peak - b.peak || a.phase - b.phase,
    phase: (a, b) => (a.common ?? a.phase) - (b.common ?? b.phase),
    share: (a, b) => b.share - a.share,
    size: (a, b) => b.size - a.size,
  };
  return [...facts].sort((a, b) => by[key](a, b) || a.row - b.row).map((f) => f.row);
}

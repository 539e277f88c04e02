// Labels that never touch: chosen, moved apart, or every k-th where there is no room.
import { textWidth } from "../draw/list";

/** Moves labels apart along one direction, keeping their order and as near as can be to where they were. */
export function spread(at: number[], gap: number, lo: number, hi: number): number[] {
  const order = at.map((_, i) => i).sort((a, b) => at[a] - at[b]);
  const out = [...at];
  let floor = lo;
  for (const i of order) {
    out[i] = Math.max(out[i], floor);
    floor = out[i] + gap;
  }
  let ceiling = hi;
  for (const i of order.reverse()) {
    out[i] = Math.min(out[i], ceiling);
    ceiling = out[i] - gap;
  }
  return out;
}

/** The level (0, 1, ...) of each centred label so that no two on one level touch. */
export function levels(at: number[], widths: number[]): number[] {
  const ends: number[] = [];
  const order = at.map((_, i) => i).sort((a, b) => at[a] - widths[a] / 2 - (at[b] - widths[b] / 2));
  const out = new Array<number>(at.length);
  for (const i of order) {
    let level = 0;
    while (ends[level] !== undefined && at[i] - widths[i] / 2 < ends[level] + 6) level++;
    ends[level] = at[i] + widths[i] / 2;
    out[i] = level;
  }
  return out;
}

/** Which of the centred labels can stand in one line without touching: those of `first` before the others. */
export function standing(at: number[], widths: number[], first: (i: number) => boolean = () => false, gap = 6): boolean[] {
  const order = at.map((_, i) => i).sort((a, b) => Number(first(b)) - Number(first(a)) || at[a] - at[b]);
  const taken: [number, number][] = [];
  const out = new Array<boolean>(at.length).fill(false);
  for (const i of order) {
    const [lo, hi] = [at[i] - widths[i] / 2 - gap / 2, at[i] + widths[i] / 2 + gap / 2];
    if (taken.some(([a, b]) => lo < b && hi > a)) continue;
    taken.push([lo, hi]);
    out[i] = true;
  }
  return out;
}

/** A text cut to a width, with an ellipsis. */
export function cut(text: string, width: number, size: number): string {
  if (textWidth(text, size) <= width) return text;
  const most = Math.floor(width / (size * 0.56)) - 1;
  return most < 1 ? "" : `${text.slice(0, most)}…`;
}

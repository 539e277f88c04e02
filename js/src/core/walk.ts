// How playing moves indices.

export type Loop = "once" | "loop" | "bounce";
export type Walk = "single" | "odometer" | "diagonal";

export interface Place {
  index: number;
  direction: 1 | -1;
  done: boolean;
  wrapped: boolean;
}

/** One step along an axis of the given length. */
export function step(index: number, length: number, direction: 1 | -1, loop: Loop): Place {
  const next = index + direction;
  if (next >= 0 && next < length) return { index: next, direction, done: false, wrapped: false };
  if (loop === "once") return { index, direction, done: true, wrapped: false };
  if (loop === "loop") return { index: next < 0 ? length - 1 : 0, direction, done: false, wrapped: true };
  const back = direction === 1 ? -1 : 1;
  const turned = Math.max(0, Math.min(length - 1, index + back));
  return { index: turned, direction: back, done: false, wrapped: true };
}

/** A step along two axes: the second moves when the first wraps (odometer) or together with it (diagonal). */
export function step2(
  first: [number, number],
  second: [number, number],
  direction: 1 | -1,
  loop: Loop,
  walk: Walk,
): { first: Place; second: number } {
  const place = step(first[0], first[1], direction, walk === "odometer" && loop === "once" ? "loop" : loop);
  const roll = (by: number) => (((second[0] + by) % second[1]) + second[1]) % second[1];
  if (walk === "diagonal") return { first: place, second: place.done ? second[0] : roll(place.direction) };
  if (walk === "odometer" && place.wrapped) {
    const end = direction === 1 ? second[1] - 1 : 0;
    if (loop === "once" && second[0] === end) {
      return { first: { ...place, index: first[0], done: true }, second: second[0] };
    }
    return { first: place, second: roll(direction) };
  }
  return { first: place, second: second[0] };
}

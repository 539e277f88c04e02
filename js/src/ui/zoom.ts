// The part of a picture that is shown.
import type { Pane } from "../draw/list";
import type { Model } from "./model";

const ZOOMED = ["wave", "spectrum", "heat", "plane"];

export const zoomable = (pane: Pane): boolean => ZOOMED.includes(pane.kind);

type Ends = [number, number];

/** The whole domains of the panes of a view, as they were before any zoom. */
const wholes = new WeakMap<Model, Map<string, { x: Ends; y: Ends }>>();

function wholeOf(model: Model, pane: Pane): { x: Ends; y: Ends } {
  const mine = wholes.get(model) ?? new Map<string, { x: Ends; y: Ends }>();
  wholes.set(model, mine);
  const window = model.windows.value[pane.kind];
  if (!window || !mine.has(pane.kind)) mine.set(pane.kind, { x: pane.x, y: pane.y });
  return mine.get(pane.kind)!;
}

function inverted(pane: Pane, axis: "x" | "y", pixel: number): number {
  const scale = axis === "x" ? pane.px : pane.py;
  if (scale) return scale.invert(pixel);
  const { box } = pane;
  const t = axis === "x" ? (pixel - box.x) / box.w : 1 - (pixel - box.y) / box.h;
  const domain = pane[axis];
  return domain[0] + t * (domain[1] - domain[0]);
}

/** Ends within the whole; as wide as before where they stick out on one side, none where they cover it. */
function within(ends: Ends, whole: Ends): Ends | undefined {
  const turned = whole[0] > whole[1];
  const [lo, hi] = turned ? [whole[1], whole[0]] : whole;
  let [a, b] = turned ? [ends[1], ends[0]] : ends;
  if (!(b - a < hi - lo) || !Number.isFinite(b - a)) return undefined;
  if (a < lo) [a, b] = [lo, b + lo - a];
  if (b > hi) [a, b] = [a - (b - hi), hi];
  if (b - a < (hi - lo) * 1e-6) return undefined;
  return turned ? [b, a] : [a, b];
}

function put(model: Model, pane: Pane, change: { x?: Ends; y?: Ends }): void {
  const whole = wholeOf(model, pane);
  const { [pane.kind]: now, ...others } = model.windows.value;
  const x = "x" in change ? change.x && within(change.x, whole.x) : now?.x;
  const y = "y" in change ? change.y && within(change.y, whole.y) : now?.y;
  model.windows.value = x || y ? { ...others, [pane.kind]: { ...(x ? { x } : {}), ...(y ? { y } : {}) } } : others;
}

/** Shows `factor` times as much as now (less than 1 is nearer) about a pixel; pictures zoom on both axes at once. */
export function zoomed(model: Model, pane: Pane, x: number, y: number, factor: number, axis: "x" | "y"): void {
  if (!zoomable(pane)) return;
  const { box } = pane;
  const both = pane.kind === "heat" || pane.kind === "plane";
  const across: Ends = [inverted(pane, "x", x - (x - box.x) * factor), inverted(pane, "x", x + (box.x + box.w - x) * factor)];
  const up: Ends = [inverted(pane, "y", y + (box.y + box.h - y) * factor), inverted(pane, "y", y - (y - box.y) * factor)];
  put(model, pane, both ? { x: across, y: up } : axis === "x" ? { x: across } : { y: up });
}

/** Moves the part that is shown by so many pixels since the press, at which `pane` was as it is given. */
export function panned(model: Model, pane: Pane, dx: number, dy: number): void {
  const window = model.windows.value[pane.kind];
  const { box } = pane;
  const change: { x?: Ends; y?: Ends } = {};
  if (window?.x) change.x = [inverted(pane, "x", box.x - dx), inverted(pane, "x", box.x + box.w - dx)];
  if (window?.y) change.y = [inverted(pane, "y", box.y + box.h - dy), inverted(pane, "y", box.y - dy)];
  put(model, pane, change);
}

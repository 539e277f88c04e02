// From the state of a view to a frame.
import { phasors, type Phasors } from "../core/dft";
import { parity } from "../core/parity";
import { digits } from "../core/scale";
import type { Box, Frame } from "../draw/list";
import { spectrumFrame, spectrumRange } from "../view/spectrum";
import { waveFrame, type Series } from "../view/wave";
import { missingNote, stacked, WAVE_MARKS, words } from "./frames";
import { toSeries, waveRange, type Line, type Model } from "./model";
import { kneeOf, labelled, picture, picturePlane } from "./pictures";
import { multiples, ridge } from "./rows";

/** The picture of a view's state at a size. */
export function sceneOf(model: Model, width: number, height: number): Frame {
  return build(model, width, height) ?? words(model, width, height, model.reader.error ?? "reading …");
}

function build(model: Model, width: number, height: number): Frame | null {
  switch (model.state.mode.value) {
    case "wave":
      return waves(model, width, height);
    case "spectrum":
      return spectra(model, width, height);
    case "both": {
      const top = waves(model, width, Math.round(height / 2));
      const below = spectra(model, width, height - Math.round(height / 2));
      return top && below && stacked([top, below]);
    }
    case "heatmap":
      return picture(model, width, height);
    case "spectrum2d":
      return picturePlane(model, width, height);
    case "multiples":
      return multiples(model, width, height);
    case "ridge":
      return ridge(model, width, height);
  }
}

function mutedNote(model: Model, left: number): string {
  const mute = model.state.mute.value;
  const which = mute.length > 8 ? `${mute.length} frequencies` : mute.join(", ");
  return `muted: ${which}; ${(100 * left).toFixed(2)} % of the energy is left`;
}

function foldSeries(model: Model, lines: Line[], s: number | null): { ghosts: Series[]; notes: string[] } {
  if (!model.state.fold.value || s === null || !lines.length) return { ghosts: [], notes: [] };
  const { theme } = model;
  const parts = parity(lines[0].values, s);
  const mirrored = parts.even.map((v, i) => parts.mean + v - parts.odd[i]);
  const ghosts: Series[] = [
    { name: "mirrored", colour: theme.mark, dash: [], values: mirrored, width: 4, alpha: 0.22 },
    { name: "even", colour: theme.lines[2], dash: [6, 3], values: parts.even.map((v) => v + parts.mean), width: 1.4, alpha: 0.9 },
    { name: "odd", colour: theme.lines[1], dash: [2, 3], values: parts.odd.map((v) => v + parts.mean), width: 1.4, alpha: 0.9 },
  ];
  return { ghosts, notes: [`even share about ${model.spec.symmetry[0]}: ${parts.share.toFixed(4)}`] };
}

/** The pinned slice and the last ones, each named at its end. */
function ghostsOf(model: Model, lines: Line[]): Series[] {
  const { theme, state } = model;
  const fits = (line: Line) => line.values.length === lines[0]?.values.length;
  const list: Series[] = model.pins.value.filter(fits).map((pin) => ({ ...toSeries(pin), name: `pinned ${pin.name}`, colour: theme.faint, dash: [], width: 2.5, alpha: 0.8 }));
  if (state.trail.value) {
    model.trail.forEach((past, age) => past.filter(fits).forEach((line, i) => list.push({ ...toSeries(line), name: i ? "" : `${age + 1} step${age ? "s" : ""} ago`, width: 1, alpha: 0.5 - 0.13 * age })));
  }
  return list;
}

/** Where a wipe stands on x. */
function cutOf(model: Model): number | null {
  return model.state.compare.value === "wipe" && model.spec.lines.length > 1 ? model.wipe.value * (model.size(model.state.x.value) - 1) : null;
}

function cursorOf(model: Model, x: string): number | null {
  const shared = model.shared.hover.value;
  if (shared && shared.axis === x && shared.at < model.size(x)) return shared.at;
  return model.active.value === x ? model.index[x].value : null;
}

/** Twice the first symmetry axis: the s of the reflection n -> s - n. */
export function foldPoint(model: Model): number | null {
  const axes = model.axes();
  return axes.length ? 2 * axes[0] : null;
}

/** Lines moved apart, the first on top, by a share of the height of the tallest. */
function shifted(model: Model, lines: Line[], height: number): number[] {
  const by = model.state.offset.value * height;
  return lines.map((_, i) => (by ? -i * by : 0));
}

function waves(model: Model, width: number, height: number): Frame | null {
  const { state, spec } = model;
  const raw = model.lines();
  if (!raw) return null;
  if (!raw.length) return words(model, width, height, "every line is hidden: click a name above");
  const x = state.x.value;
  const masks = raw.map((line) => model.mask(line.id, [x]));
  const notes = missingNote(raw, masks, WAVE_MARKS);
  const heard = raw.map((line) => ({ line, ...model.heard(line.values) }));
  const lines = heard.map(({ line, values }) => ({ ...line, values }));
  const muted = state.mute.value.length > 0;
  if (muted) notes.push(mutedNote(model, heard[0].left));
  const axes = model.axes();
  const fold = foldSeries(model, lines, foldPoint(model));
  const ghosts = [...ghostsOf(model, lines), ...fold.ghosts];
  if (muted && heard.length === 1) ghosts.unshift({ ...toSeries(raw[0]), name: "whole", colour: model.theme.faint, width: 1, alpha: 0.55 });
  const relative = model.relativeError();
  if (relative !== null) notes.push(`‖A − B‖ / ‖B‖ = ${digits(relative)} in this slice`);
  const { extent: found } = model.range([x], [...lines.map((l) => l.values), ...model.pins.value.map((l) => l.values)]);
  if (!found) notes.unshift("no numbers in this slice");
  const range = found ?? { lo: -1, hi: 1 };
  const shifts = shifted(model, lines, range.hi - range.lo);
  if (state.offset.value && lines.length > 1) notes.push("lines moved apart");
  const cut = cutOf(model);
  const series = lines.map((line, i): Series => ({ ...toSeries(line), shift: shifts[i], ...(cut === null ? {} : i ? { from: cut } : { to: cut }) }));
  const coords = model.coordinates(x);
  return waveFrame({
    width,
    height,
    theme: model.theme,
    n: model.size(x),
    series,
    ghosts,
    y: yDomain(model, { lo: range.lo + Math.min(0, ...shifts), hi: range.hi }),
    xName: x,
    yName: spec.lines.length > 1 ? "" : spec.name,
    label: labelled(model, x),
    centre: state.centre.value && axes.length ? axes[0] : null,
    centreName: spec.symmetry[0],
    symmetry: state.symmetry.value ? axes : [],
    marks: model.marks(),
    cursor: cursorOf(model, x),
    style: model.style,
    circle: model.isCircle(x),
    at: coords,
    bends: { x: coords ? xKind(model, coords) : undefined, y: state.yscale.value, knee: kneeOf(range) },
    window: model.windows.value.wave,
    wipe: cut === null ? null : model.wipe.value,
    masks,
    notes: [...notes, ...fold.notes],
  });
}

/** Epoch 0 has no logarithm: an axis that starts at 0 or below bends as symlog. */
function xKind(model: Model, coords: number[]): "linear" | "log" | "symlog" {
  const kind = model.state.xscale.value;
  return kind === "log" && coords[0] <= 0 ? "symlog" : kind;
}

function yDomain(model: Model, e: { lo: number; hi: number }): [number, number] {
  if (model.state.yscale.value !== "log") return waveRange(e);
  const hi = e.hi > 0 ? e.hi : 1;
  return [e.lo > 0 ? e.lo / 1.2 : hi * 1e-4, hi * 1.2];
}

const MOST_TRANSFORMED = 4e6;

/** Every phasor of the waves of a sweep, for a range that stays still while playing. */
function sweptPhasors(model: Model): Phasors[] | null {
  const along = model.state.play.value;
  const x = model.state.x.value;
  return model.once("phasors", model.keyWithout(along, x), () => {
    const swept = model.sweep(along);
    if (!swept) return null;
    const out: Phasors[] = [];
    for (const waves of swept.waves) {
      const rows = waves.length / swept.n;
      const cost = swept.n * Math.min(swept.n, 60 * Math.log2(swept.n + 1));
      const stride = Math.max(1, Math.ceil((rows * swept.waves.length * cost) / MOST_TRANSFORMED));
      for (let row = 0; row < rows; row += stride) out.push(phasors(waves.subarray(row * swept.n, (row + 1) * swept.n)));
    }
    return out;
  });
}

function spectra(model: Model, width: number, height: number): Frame | null {
  const { state } = model;
  const lines = model.lines();
  if (!lines) return null;
  if (!lines.length) return words(model, width, height, "every line is hidden: click a name above");
  const x = state.x.value;
  const p = model.size(x);
  const voices = lines.map((line) => ({ name: line.name, colour: line.colour, dash: line.dash, phasors: model.phasorsOf(line) }));
  const quantity = state.quantity.value;
  const own = voices.map((v) => v.phasors);
  const y = state.scope.value === "slice" || quantity === "phase" ? spectrumRange(own, quantity) : (model.once(`y/${quantity}`, model.keyWithout(state.play.value, x), () => spectrumRange(sweptPhasors(model) ?? own, quantity)) as [number, number]);
  const hover = model.hover.value;
  const notes = missingNote(lines, lines.map((line) => model.mask(line.id, [x])), { nan: "as the mean", up: "as the mean", down: "as the mean", masked: "as the mean" });
  if (state.mute.value.length) notes.push(mutedNote(model, model.heard(lines[0].values).left));
  if (!model.isCircle(x)) notes.push(`${x} does not close: its ends meet only in this spectrum`);
  return spectrumFrame({
    width,
    height,
    theme: model.theme,
    p,
    voices,
    quantity,
    y,
    keys: model.keys,
    sticks: state.sticks.value,
    muted: new Set(state.mute.value),
    hover: hover?.kind === "spectrum" ? hover.x : model.active.value === x ? model.frequency.value : null,
    name: `frequency k of ${x} (turns per ${p})`,
    notes,
    bends: { y: state.yscale.value, knee: (y[1] || 1) / 1000 },
    window: model.windows.value.spectrum,
  });
}

export const inside = (box: Box, x: number, y: number): boolean => x >= box.x && x <= box.x + box.w && y >= box.y && y <= box.y + box.h;

// What is said of the place under the pointer, or of the data cursor.
import { amplitude, phase, phasors, shares } from "../core/dft";
import { describe, mod } from "../core/modp";
import { digits } from "../core/scale";
import { rowFacts } from "../core/order";
import { acrossAxis, gridAxis, planeOf } from "./scene";
import type { Hover, Model } from "./model";

const signed = (v: number): string => (v > 0 ? `+${digits(v)}` : digits(v)).replace("-", "−");

/** The lines of the read-out, first the place. */
export function readout(model: Model, hover: Hover): string[] {
  switch (hover.kind) {
    case "wave":
      return waveText(model, hover.x);
    case "spectrum":
      return spectrumText(model, hover.x);
    case "heat":
      return heatText(model, hover.y, hover.x);
    case "plane":
      return planeText(model, hover.y, hover.x);
    case "cell":
    case "row":
      return rowText(model, hover);
    default:
      return [];
  }
}

function waveText(model: Model, at: number): string[] {
  const x = model.state.x.value;
  const out = [`${x} = ${model.label(x, at)}`];
  const axes = model.axes();
  if (axes.length) {
    const p = model.size(x);
    const offset = mod(at - axes[0] + p / 2, p) - p / 2;
    out[0] += `  (${model.spec.symmetry[0]} ${offset < 0 ? "−" : "+"} ${digits(Math.abs(offset))})`;
  }
  for (const line of model.lines() ?? []) {
    out.push(`${model.spec.lines.length > 1 ? `${line.name}: ` : ""}${digits(model.heard(line.values).values[at])}`);
  }
  return out;
}

function spectrumText(model: Model, k: number): string[] {
  const p = model.size(model.state.x.value);
  const out = [k === 0 ? "k = 0 (mean)" : `k = ${k}, period ${digits(p / k)}`];
  const what = describe(k, model.spec.keys, p);
  if (what) out.push(what);
  for (const line of model.lines() ?? []) {
    const c = phasors(line.values);
    const a = amplitude(c);
    const [angle, share] = [phase(c)[k], shares(c)[k]];
    const name = model.spec.lines.length > 1 ? `${line.name}: ` : "";
    const rank = 1 + a.reduce((n, v, i) => n + (i > 0 && v > a[k] ? 1 : 0), 0);
    out.push(`${name}amplitude ${digits(a[k])}`);
    if (k > 0) {
      const x0 = mod((-angle * p) / (2 * Math.PI * k), p / k);
      out.push(`phase ${signed(angle)} rad: peak at ${digits(x0)}`, `share ${(100 * share).toFixed(2)} %, rank ${rank} of ${a.length - 1}`);
    }
  }
  return out;
}

function heatText(model: Model, row: number, column: number): string[] {
  const { x, y } = model.state;
  const at = { ...model.indices(), [y.value!]: row };
  const out = [`${y.value} = ${model.label(y.value!, row)}, ${x.value} = ${model.label(x.value, column)}`];
  const env = model.env({ ...at, [x.value]: column });
  if (env.c !== undefined && ![x.value, y.value].includes("c") && !model.spec.dims.includes("c")) out[0] += `, c = ${env.c}`;
  for (const line of model.lines([x.value], at) ?? []) out.push(`${model.spec.lines.length > 1 ? `${line.name}: ` : ""}${digits(line.values[column])}`);
  return out;
}

function rowText(model: Model, hover: Hover): string[] {
  const [axis, other] = [gridAxis(model), hover.kind === "cell" ? acrossAxis(model) : null];
  if (!axis || hover.id === undefined) return [];
  const wide = other ? model.size(other) : 1;
  const at = { ...model.indices(), [axis]: Math.floor(hover.id / wide), ...(other ? { [other]: hover.id % wide } : {}) };
  const out = [[axis, ...(other ? [other] : [])].map((dim) => `${dim} = ${model.label(dim, at[dim])}`).join(", ")];
  const wave = model.lines([model.state.x.value], at)?.[0]?.values;
  if (wave) {
    const facts = rowFacts(wave, 0);
    out.push(`strongest k = ${facts.peak}: ${(100 * facts.share).toFixed(1)} %`, `root mean square ${digits(facts.size)}`);
  }
  const here = [axis, ...(other ? [other] : [])].every((dim) => model.index[dim].value === at[dim]);
  return [...out, here ? "click to open" : "click to select"];
}

function planeText(model: Model, ky: number, kx: number): string[] {
  const { x, y } = model.state;
  const made = planeOf(model);
  if (!made) return [];
  const value = made.values[(ky + (made.rows >> 1)) * made.columns + kx + (made.columns >> 1)];
  const where = ky === 0 && kx === 0 ? "mean" : ky === 0 || kx === 0 ? `${ky === 0 ? x.value : y.value} alone` : ky === kx ? `on ${y.value} + ${x.value}` : ky === -kx ? `on ${y.value} − ${x.value}` : "cross term";
  return [`k(${y.value}) = ${ky}, k(${x.value}) = ${kx}`.replace(/-/g, "−"), where, `${made.quantity} ${digits(value)}`];
}

// What is said of the place under the pointer, or of the data cursor.
import { amplitude, phase, power, quantityOf, shares } from "../core/dft";
import { describe, mod } from "../core/modp";
import { rowFacts } from "../core/order";
import { digits } from "../core/scale";
import { PLANE_QUANTITIES } from "../view/plane";
import { QUANTITIES } from "../view/spectrum";
import type { Hover, Line, Model } from "./model";
import { planeOf } from "./pictures";
import { acrossAxis, gridAxis } from "./rows";

const minus = (text: string): string => text.replace("-", "−");
const signed = (v: number): string => minus(v > 0 ? `+${digits(v)}` : digits(v));
/** Six significant digits: for what was computed. */
const six = (v: number): string => (Number.isFinite(v) ? minus(String(Number(v.toPrecision(6)))) : minus(digits(v)));

/** More lines than this do not fit beside the pointer. */
const MOST_LINES = 12;

function listed(model: Model, lines: Line[], text: (line: Line) => string[]): string[] {
  const out = lines.slice(0, MOST_LINES).flatMap((line) => {
    const [first, ...rest] = text(line);
    return [`${model.spec.lines.length > 1 ? `${line.name}: ` : ""}${first}`, ...rest];
  });
  if (lines.length > MOST_LINES) out.push(`and ${lines.length - MOST_LINES} more lines`);
  return out;
}

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

/** A value as it was given, or what is there instead. */
function said(model: Model, line: Line, at: number, keep: string[]): string {
  const v = line.values[at];
  if (Number.isFinite(v)) return model.text(line.id, v);
  return model.mask(line.id, keep)?.[at] ? "masked" : digits(v);
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
  const muted = model.state.mute.value.length > 0;
  const derived = muted || ["A-B", "A/B"].includes(model.state.compare.value);
  return [...out, ...listed(model, model.lines() ?? [], (line) => [derived ? six(model.heard(line.values).values[at]) : said(model, line, at, [x])])];
}

function spectrumText(model: Model, k: number): string[] {
  const p = model.size(model.state.x.value);
  const quantity = model.state.quantity.value;
  const out = [k === 0 ? "k = 0 (mean)" : `k = ${k}, period ${digits(p / k)}`];
  const what = describe(k, model.keys, p);
  if (what) out.push(what);
  const lines = model.lines() ?? [];
  const long = lines.length > 3;
  return [...out, ...listed(model, lines, (line) => voiceText(model, line, k, quantity, long))];
}

/** First the quantity that is drawn; then the others, where there is room. */
function voiceText(model: Model, line: Line, k: number, quantity: keyof typeof QUANTITIES, long: boolean): string[] {
  const c = model.phasorsOf(line);
  if (!line.values.some(Number.isFinite)) return ["no numbers in this slice"];
  const a = amplitude(c);
  const p = c.p;
  if (k === 0) return [`mean ${six(c.re[0])}`, ...(quantity === "amplitude" || long ? [] : [`${QUANTITIES[quantity].split(" (DC")[0]} ${quantity === "phase" ? "has no meaning here" : six(quantityOf(c, quantity)[0])}`])];
  const angle = phase(c)[k];
  const said: Record<string, string> = {
    amplitude: `amplitude ${six(a[k])}`,
    power: `power ${six(power(c)[k])}`,
    db: `power ${digits(10 * Math.log10(Math.max(power(c)[k], 1e-20)))} dB`.replace("-", "−"),
    cossin: `cos ${six(c.re[k])}, sin ${six(-c.im[k])}`,
    phase: `phase ${signed(angle)} rad: peak at ${digits(mod((-angle * p) / (2 * Math.PI * k), p / k))}`,
    share: "",
  };
  const rank = 1 + a.reduce((n, v, i) => n + (i > 0 && v > a[k] ? 1 : 0), 0);
  said.share = a.some((v, i) => i > 0 && v > 0) ? `share ${(100 * shares(c)[k]).toFixed(2)} %, rank ${rank} of ${a.length - 1}` : "share: a constant has no waves";
  const first = said[quantity];
  if (long) return [first];
  return [first, ...["amplitude", "phase", "share"].filter((name) => name !== quantity).map((name) => said[name])];
}

function heatText(model: Model, row: number, column: number): string[] {
  const { x, y } = model.state;
  const at = { ...model.indices(), [y.value!]: row };
  const out = [`${y.value} = ${model.label(y.value!, row)}, ${x.value} = ${model.label(x.value, column)}`];
  const env = model.env({ ...at, [x.value]: column });
  if (env.c !== undefined && ![x.value, y.value].includes("c") && !model.spec.dims.includes("c")) out[0] += `, c = ${env.c}`;
  const derived = ["A-B", "A/B"].includes(model.state.compare.value);
  return [...out, ...listed(model, model.lines([x.value], at) ?? [], (line) => [derived ? six(line.values[column]) : said(model, line, column, [x.value])])];
}

function rowText(model: Model, hover: Hover): string[] {
  const [axis, other] = [gridAxis(model), hover.kind === "cell" ? acrossAxis(model) : null];
  if (!axis || hover.id === undefined) return [];
  const wide = other ? model.size(other) : 1;
  const dims = other ? [axis, other] : [axis];
  const at: Record<string, number> = { ...model.indices(), [axis]: Math.floor(hover.id / wide), ...(other ? { [other]: hover.id % wide } : {}) };
  const out = [dims.map((dim) => `${dim} = ${model.label(dim, at[dim])}`).join(", ")];
  const wave = model.lines([model.state.x.value], at)?.[0]?.values;
  if (wave) {
    const facts = rowFacts(wave, 0);
    out.push(`strongest k = ${facts.peak}: ${(100 * facts.share).toFixed(1)} %`, `root mean square ${digits(facts.size)}`);
  }
  const here = dims.every((dim) => model.index[dim].value === at[dim]);
  return [...out, here ? "click to open" : "click to select"];
}

function planeText(model: Model, ky: number, kx: number): string[] {
  const { x, y } = model.state;
  const made = planeOf(model);
  if (!made || typeof made === "number") return [];
  const i = (ky + (made.rows >> 1)) * made.columns + kx + (made.columns >> 1);
  const where = ky === 0 && kx === 0 ? "mean" : ky === 0 || kx === 0 ? `${ky === 0 ? x.value : y.value} alone` : ky === kx ? `on ${y.value} + ${x.value}` : ky === -kx ? `on ${y.value} − ${x.value}` : "cross term";
  const out = [minus(`k(${y.value}) = ${ky}, k(${x.value}) = ${kx}`).replace("= -", "= −"), where];
  if (made.quantity === "cossin") return [...out, `cos ${six(made.plane.re[i])}, sin ${six(-made.plane.im[i])}`];
  return [...out, `${PLANE_QUANTITIES[made.quantity].replace(/ A of the wave| of the wave| \(.*\)/g, "")} ${six(made.values[i])}`];
}

// The numbers of a picture: table, CSV, NPY.
import { phasors, quantityOf } from "../core/dft";
import type { Model } from "./model";
import { planeOf } from "./pictures";
import { rowsOf } from "./rows";

export interface Table {
  head: string[];
  rows: (number | string)[][];
}

/** What is drawn, as columns. */
export function tableOf(model: Model): Table {
  const { mode, x, y, quantity } = model.state;
  if (mode.value === "spectrum2d") return planeTable(model, y.value!, x.value);
  if (mode.value === "heatmap") return gridTable(model, y.value!, x.value);
  if (mode.value === "multiples" || mode.value === "ridge") return rowTable(model);
  const lines = model.lines() ?? [];
  const n = model.size(x.value);
  if (mode.value !== "spectrum") {
    const waves = lines.map((line) => model.heard(line.values).values);
    return { head: [x.value, ...lines.map((line) => line.name)], rows: Array.from({ length: n }, (_, i) => [model.label(x.value, i), ...waves.map((w) => w[i])]) };
  }
  const half = Math.floor(n / 2) + 1;
  const pair = quantity.value === "cossin";
  const all = lines.map((line) => quantityOf(phasors(line.values), quantity.value));
  const head = ["k", ...lines.flatMap((line) => (pair ? [`${line.name} cos`, `${line.name} sin`] : [`${line.name} ${quantity.value}`]))];
  return { head, rows: Array.from({ length: half }, (_, k) => [k, ...all.flatMap((q) => (pair ? [q[k], q[half + k]] : [q[k]]))]) };
}

/** The two-dimensional spectrum that is drawn, its frequencies signed. */
function planeTable(model: Model, y: string, x: string): Table {
  const made = planeOf(model);
  if (!made || typeof made === "number") return { head: [], rows: [] };
  const { values, rows, columns } = made;
  const head = [`k(${y})\\k(${x}) ${made.quantity}`, ...Array.from({ length: columns }, (_, i) => String(i - (columns >> 1)))];
  return { head, rows: Array.from({ length: rows }, (_, i) => [i - (rows >> 1), ...values.subarray(i * columns, (i + 1) * columns)]) };
}

function gridTable(model: Model, y: string, x: string): Table {
  const values = model.lines([y, x])?.[0]?.values ?? new Float32Array();
  const n = model.size(x);
  const head = [`${y}\\${x}`, ...Array.from({ length: n }, (_, i) => model.label(x, i))];
  return { head, rows: Array.from({ length: model.size(y) }, (_, i) => [model.label(y, i), ...values.subarray(i * n, (i + 1) * n)]) };
}

function rowTable(model: Model): Table {
  const made = rowsOf(model);
  const x = model.state.x.value;
  const head = ["row", ...Array.from({ length: model.size(x) }, (_, i) => model.label(x, i))];
  return { head, rows: (made?.cells ?? []).map((cell) => [cell.id, ...cell.values]) };
}

const field = (v: number | string): string => (typeof v === "string" && /[",\n]/.test(v) ? `"${v.replace(/"/g, '""')}"` : String(v));

export const csv = ({ head, rows }: Table): string => [head, ...rows].map((row) => row.map(field).join(",")).join("\r\n") + "\r\n";

/** The bytes of a .npy file (version 1.0) of little-endian float32. */
export function npy(values: Float32Array, shape: number[]): Uint8Array {
  const dict = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(", ")}${shape.length === 1 ? "," : ""}), }`;
  const pad = (64 - ((10 + dict.length + 1) % 64)) % 64;
  const header = `${dict}${" ".repeat(pad)}\n`;
  const out = new Uint8Array(10 + header.length + values.byteLength);
  out.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 255, header.length >> 8]);
  for (let i = 0; i < header.length; i++) out[10 + i] = header.charCodeAt(i);
  out.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), 10 + header.length);
  return out;
}

/** The slice that is drawn, as it is in memory: [lines, x] or [y, x]. */
export function sliceOf(model: Model): { values: Float32Array; shape: number[] } | null {
  const { mode, x, y } = model.state;
  const picture = (mode.value === "heatmap" || mode.value === "spectrum2d") && y.value;
  const keep = picture ? [y.value!, x.value] : [x.value];
  const lines = model.lines(keep);
  if (!lines?.length) return null;
  const shape = keep.map((dim) => model.size(dim));
  if (picture || lines.length === 1) return { values: lines[0].values.slice(), shape };
  const out = new Float32Array(lines.length * lines[0].values.length);
  lines.forEach((line, i) => out.set(line.values, i * line.values.length));
  return { values: out, shape: [lines.length, ...shape] };
}

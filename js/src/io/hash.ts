// State as text: in the address of a page, and as a call in Python.
import type { State } from "./spec";

const VERSION = "#v1";

type Loose = Record<string, unknown>;

const write = (value: unknown): string => encodeURIComponent(Array.isArray(value) ? `[${value.join(",")}]` : value === null ? "~" : String(value));

function read(text: string): unknown {
  const value = decodeURIComponent(text);
  if (value === "~") return null;
  if (value === "true" || value === "false") return value === "true";
  if (/^\[.*\]$/.test(value)) return value.length > 2 ? value.slice(1, -1).split(",").map(Number).filter(Number.isFinite) : [];
  return value !== "" && Number.isFinite(Number(value)) ? Number(value) : value;
}

/** What differs from the start, and all indices. */
export function changes(state: State, start: State): Partial<State> {
  const out: Loose = { index: state.index };
  for (const [key, value] of Object.entries(state)) {
    if (key !== "index" && JSON.stringify(value) !== JSON.stringify((start as unknown as Loose)[key])) out[key] = value;
  }
  return out as Partial<State>;
}

/** "#v1;c=8;d_model=43;.mode=spectrum": indices by name, the rest after a dot; the n-th view (from 1) after "n:". */
export function toHash(list: Partial<State>[]): string {
  const parts = list.flatMap((state, n) => {
    const prefix = n ? `${n}:` : "";
    const own = Object.entries(state).filter(([key]) => key !== "index");
    return [...Object.entries(state.index ?? {}).map(([dim, at]) => `${prefix}${encodeURIComponent(dim)}=${at}`), ...own.map(([key, value]) => `${prefix}.${key}=${write(value)}`)];
  });
  return [VERSION, ...parts].join(";");
}

/** The states in a hash; [] where it is not one of ours. Parts that cannot be read are left out. */
export function fromHash(hash: string): Partial<State>[] {
  const [version, ...parts] = hash.split(";");
  if (version !== VERSION) return [];
  const list: { index: Record<string, number>; [key: string]: unknown }[] = [];
  for (const part of parts) {
    const match = /^(?:(\d+):)?(\.?)([^=]+)=(.*)$/.exec(part);
    if (!match) continue;
    const n = Number(match[1] ?? 0);
    if (n > 999) continue;
    while (list.length <= n) list.push({ index: {} });
    try {
      const value = read(match[4]);
      if (match[2]) list[n][match[3]] = value;
      else if (typeof value === "number") list[n].index[decodeURIComponent(match[3])] = value;
    } catch {
      continue; // a broken percent code
    }
  }
  return list as Partial<State>[];
}

const CHOICES: Record<string, readonly string[]> = {
  mode: ["wave", "spectrum", "both", "heatmap", "spectrum2d", "multiples", "ridge"],
  quantity: ["amplitude", "power", "db", "phase", "cossin", "share"],
  scope: ["span", "axis", "slice", "all"],
  style: ["auto", "curve", "joins", "dots"],
  colours: ["auto", "sequential", "diverging", "cyclic", "grey"],
  yscale: ["linear", "log", "symlog"],
  xscale: ["linear", "log", "symlog"],
  compare: ["overlay", "A", "B", "A-B", "A/B", "flicker", "wipe"],
  sort: ["index", "peak", "phase", "share", "size"],
  walk: ["single", "odometer", "diagonal"],
  loop: ["loop", "bounce", "once"],
};
const AXES = ["x", "play", "y", "grid", "with"];

/** Whether a value from outside may become this part of the state, which is now `current`. */
export function fits(key: string, value: unknown, current: unknown, dims: readonly string[]): boolean {
  if (AXES.includes(key)) return (value === null && key !== "x") || dims.includes(value as string);
  if (key in CHOICES) return CHOICES[key].includes(value as string);
  if (key === "seconds") return typeof value === "number" && value > 0 && value < 1e6;
  if (key === "offset") return typeof value === "number" && value >= 0 && value < 100;
  if (Array.isArray(current)) return Array.isArray(value) && value.every((v) => Number.isInteger(v) && v >= 0);
  return typeof value === typeof current;
}

const PYTHON_NAMES: Record<string, string> = {
  seconds: "seconds_per_cycle",
  scope: "scale",
  centre: "recentre",
  grid: "rows",
  with: "play_with",
  symmetry: "symmetry_axes",
};

function python(value: unknown): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.join(", ")}]`;
  return typeof value === "number" ? String(value) : JSON.stringify(value);
}

/** The call that makes this picture, such as `ms.show(x, x="a", play="c", select={"c": 8})`. */
export function pythonCall(call: string, state: State, defaults: object): string {
  const args = [`x=${python(state.x)}`];
  if (state.play) args.push(`play=${python(state.play)}`);
  const free = Object.entries(state.index).filter(([dim]) => dim !== state.x || state.index[dim] !== 0);
  if (free.length) args.push(`select={${free.map(([dim, at]) => `"${dim}": ${at}`).join(", ")}}`);
  const pictures = ["heatmap", "spectrum2d"].includes(state.mode) && state.y;
  if (pictures) args.push(`y=${python(state.y)}`);
  if (["multiples", "ridge"].includes(state.mode) && state.grid) args.push(`rows=${python(state.grid)}`);
  for (const [key, value] of Object.entries(state)) {
    if (["index", "x", "play", "y", "grid"].includes(key)) continue;
    if (JSON.stringify(value) === JSON.stringify((defaults as Loose)[key])) continue;
    args.push(`${PYTHON_NAMES[key] ?? key}=${python(value)}`);
  }
  return `${call}, ${args.join(", ")})`;
}

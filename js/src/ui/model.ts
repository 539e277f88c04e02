// The state of one view and what follows from it: indices, names, waves, ranges.
import { batch, signal, type Signal } from "@preact/signals-core";
import { THEMES, dashOf, type Theme } from "../core/colour";
import { phasors, power, rebuild, type Phasors } from "../core/dft";
import { bandLimited } from "../core/joins";
import { fill, namesIn, parse, plain, type Env } from "../core/expr";
import { mod } from "../core/modp";
import { exact, padded } from "../core/scale";
import { extent, type Extent } from "../core/tensor";
import { fits } from "../io/hash";
import type { Reader } from "../io/source";
import type { Scope, State, Table, ViewSpec } from "../io/spec";
import type { Series, Style } from "../view/wave";
import { Jobs } from "./jobs";

export interface Hover {
  kind: string;
  x: number;
  y: number;
  id?: number;
}

/** What the views of one output have in common. */
export interface Shared {
  index: Map<string, Signal<number>>;
  hover: Signal<{ axis: string; at: number } | null>;
  dark: Signal<boolean>;
  arrived: Signal<number>;
  /** The theme asked for in Python. */
  asked: "auto" | "light" | "dark";
}

export const DEFAULTS: Omit<State, "index" | "x" | "play" | "y" | "grid"> = {
  with: null,
  mode: "wave",
  quantity: "amplitude",
  scope: "span",
  style: "auto",
  compare: "overlay",
  sort: "index",
  walk: "single",
  loop: "loop",
  seconds: 10,
  mute: [],
  hide: [],
  fold: false,
  centre: false,
  trail: false,
  symmetry: true,
  sticks: true,
  robust: false,
  colours: "auto",
  yscale: "linear",
  xscale: "linear",
  offset: 0,
};

export interface Line {
  name: string;
  colour: string;
  dash: readonly number[];
  values: Float32Array;
  /** Of the spec's lines. */
  id: number;
}

/** The part of a picture that is shown, by the kind of its pane. */
export type Windows = Partial<Record<string, { x?: [number, number]; y?: [number, number] }>>;

/** A range, and what it is the range of. */
export interface Range {
  extent: Extent | null;
  over: Scope;
}

export class Model {
  readonly state: { [K in Exclude<keyof State, "index">]: Signal<State[K]> };
  readonly index: Record<string, Signal<number>> = {};
  readonly hover = signal<Hover | null>(null);
  readonly pins = signal<Line[]>([]);
  readonly trail: Line[][] = [];
  readonly flick = signal(false);
  readonly wipe = signal(0.5);
  readonly active = signal<string>("");
  readonly windows = signal<Windows>({});
  /** What is going on that takes long. */
  readonly progress = signal("");
  /** The frequency that the arrow keys stand at. */
  readonly frequency = signal<number | null>(null);
  readonly start: State;
  /** Counts up when work that takes longer than a frame goes on. */
  readonly ticks = signal(0);
  readonly jobs = new Jobs(() => this.ticks.value++);
  private readonly memo = new Map<string, { key: string; value: unknown }>();

  constructor(
    readonly spec: ViewSpec,
    readonly reader: Reader,
    readonly shared: Shared,
    linked: boolean,
  ) {
    const { dims, shape } = spec;
    const last = dims.length - 1;
    const base: State = {
      ...DEFAULTS,
      index: {},
      x: dims[last],
      play: dims[last - 1] ?? null,
      y: dims[last - 1] ?? null,
      grid: dims[last - 2] ?? dims[last - 1] ?? null,
      ...spec.state,
    };
    dims.forEach((dim, i) => {
      const key = `${dim}/${shape[i]}`;
      const known = linked ? shared.index.get(key) : undefined;
      const wanted = clamp(Math.round(spec.state.index?.[dim] ?? known?.peek() ?? 0), shape[i]);
      this.index[dim] = known ?? signal(wanted);
      if (spec.state.index?.[dim] !== undefined) this.index[dim].value = wanted;
      if (linked) shared.index.set(key, this.index[dim]);
    });
    this.start = { ...base, index: { ...this.indices() } };
    const entries = Object.entries(base).filter(([key]) => key !== "index");
    this.state = Object.fromEntries(entries.map(([key, value]) => [key, signal(value)])) as Model["state"];
    this.active.value = base.play ?? base.x;
  }

  /** Set while a picture is exported: light, unless dark was asked for. */
  exporting = false;

  get theme(): Theme {
    if (this.exporting) return THEMES[this.shared.asked === "dark" ? "dark" : "light"];
    return THEMES[this.shared.dark.value ? "dark" : "light"];
  }

  size(dim: string): number {
    return this.spec.shape[this.spec.dims.indexOf(dim)];
  }

  indices(): Record<string, number> {
    return Object.fromEntries(this.spec.dims.map((dim) => [dim, this.index[dim].value]));
  }

  /** Reads every signal that a picture depends on. */
  touch(): void {
    this.indices();
    for (const one of Object.values(this.state)) void one.value;
    void [this.hover.value, this.pins.value, this.flick.value, this.wipe.value, this.shared.hover.value, this.shared.dark.value, this.shared.arrived.value, this.active.value, this.windows.value, this.frequency.value, this.ticks.value, this.progress.value];
  }

  set(dim: string, to: number): void {
    this.index[dim].value = clamp(Math.round(to), this.size(dim));
  }

  /** Whether the last index of an axis is beside the first: axes of residues. */
  isCircle(dim: string): boolean {
    return this.spec.periodic?.includes(dim) ?? false;
  }

  /** Whether an axis holds all the residues mod p, so that marks and key frequencies have a place on it. */
  isResidues(dim: string): boolean {
    return this.isCircle(dim) && this.size(dim) === this.spec.p;
  }

  /** Coordinates of an axis that does not close, where they ascend. */
  coordinates(dim: string): number[] | null {
    const coords = this.spec.coords[dim];
    if (!coords || this.isCircle(dim)) return null;
    return coords.every((v, i) => i === 0 || v > coords[i - 1]) ? coords : null;
  }

  get style(): Style {
    const { x, style, play } = this.state;
    if (style.value === "dots") return "dots";
    if (!this.isCircle(x.value)) return "joins";
    if (style.value !== "auto") return style.value;
    const limited = this.once("joins", this.keyWithout(play.value, x.value), () => {
      const swept = this.sweep(play.value);
      return swept ? { all: swept.waves.every((waves) => bandLimited(waves, swept.n)) } : null;
    });
    return limited?.all ? "curve" : "joins";
  }

  /** Everything that is needed to come back to this picture. */
  snapshot(): State {
    const own = Object.fromEntries(Object.entries(this.state).map(([key, one]) => [key, one.peek()]));
    const index = Object.fromEntries(this.spec.dims.map((dim) => [dim, this.index[dim].peek()]));
    return { ...own, index } as unknown as State;
  }

  restore(state: Partial<State>): void {
    const dims = this.spec.dims;
    batch(() => {
      for (const [dim, at] of Object.entries(state.index ?? {})) if (dims.includes(dim) && Number.isFinite(at)) this.set(dim, at);
      for (const [key, value] of Object.entries(state)) {
        if (key === "index" || !Object.hasOwn(this.state, key)) continue;
        const part = (this.state as unknown as Record<string, Signal<unknown>>)[key];
        if (fits(key, value, part.peek(), dims)) part.value = value;
      }
    });
  }

  /** Gives an axis a role; the axis that had it takes the role that this one had. */
  assign(role: "x" | "play" | "y" | "grid", dim: string): void {
    const { x, play, y } = this.state;
    batch(() => {
      const old = this.state[role].value;
      if (old === dim) return;
      this.state[role].value = dim;
      this.windows.value = {};
      if (role === "x") {
        if (play.value === dim) play.value = old;
        if (y.value === dim) y.value = old;
        if (this.state.grid.value === dim) this.state.grid.value = old;
        this.pins.value = [];
      } else if (x.value === dim && old) {
        x.value = old;
        this.pins.value = [];
      }
      if (this.state.with.value === play.value) this.state.with.value = null;
      if (role !== "grid") this.active.value = play.value ?? x.value;
    });
  }

  /** Values of the axes for expressions: coordinates, p, and the third of a, b, c. */
  env(at: Record<string, number> = this.indices()): Env {
    const env: Env = {};
    for (const dim of this.spec.dims) env[dim] = this.spec.coords[dim]?.[at[dim]] ?? at[dim];
    const { p, operation } = this.spec;
    if (p === null) return env;
    env.p = p;
    if (operation) complete(env, operation === "add" ? 1 : -1, p, this.state.x.value);
    return env;
  }

  label(dim: string, at: number): string {
    return this.spec.labels[dim]?.[at] ?? plain(this.spec.coords[dim]?.[at] ?? at);
  }

  /** "resid_post[d_model=43, c=8, :]" */
  caption(): string {
    const { x, mode, y } = this.state;
    const open = [x.value, ...(mode.value === "heatmap" || mode.value === "spectrum2d" ? [y.value] : [])];
    const parts = this.spec.dims.map((dim) => (open.includes(dim) ? (open.length > 1 ? `${dim}=:` : ":") : `${dim}=${this.label(dim, this.index[dim].value)}`));
    return `${this.spec.name}[${parts.join(", ")}]`;
  }

  message(): string {
    const { message } = this.spec;
    if (!message) return "";
    if (message.table) return String(this.lookup(message.table));
    if (message.auto && !this.isConsistent()) return "";
    try {
      return fill(message.template!, this.env(), (name, value) => (this.spec.labels[name] ? this.label(name, value) : null));
    } catch (error) {
      return (error as Error).message;
    }
  }

  /** Whether a, b and c are what the operation says. */
  private isConsistent(): boolean {
    const { a, b, c, p } = this.env();
    return [a, b, c, p].every((v) => v !== undefined) && mod(a + (this.spec.operation === "add" ? b : -b), p) === mod(c, p);
  }

  private lookup<T>(table: Table<T>): T | null {
    let at = 0;
    table.axes.forEach((axis, i) => (at = at * table.shape[i] + this.index[axis].value));
    return table.values[at];
  }

  /** Marks on x: expressions over residues have a place on an axis of residues only, callables on the axis that they were
   * written for. */
  marks(): { x: number; label: string }[] {
    const env = this.env();
    const x = this.state.x.value;
    const first = this.spec.coords[x]?.[0] ?? 0;
    return this.spec.markers.flatMap((marker) => {
      if (marker.table) return x === this.start.x ? [{ x: (this.lookup(marker.table) ?? NaN) - first, label: marker.label }] : [];
      const names = namesIn(marker.expr!);
      if (names.some((name) => !Object.hasOwn(env, name))) return [];
      if (names.some((name) => ["a", "b", "c", "p"].includes(name)) && !this.isResidues(x)) return [];
      if (names.includes(x) && marker.expr!.trim() !== x) return [];
      return [{ x: parse(marker.expr!)(env) - first, label: marker.label }];
    });
  }

  /** Places of the symmetry axes, if they do not depend on x itself. */
  axes(): number[] {
    const env = this.env();
    const x = this.state.x.value;
    if (!["a", "b", "token"].includes(x) || !this.isResidues(x)) return [];
    const derived = this.spec.dims.includes("c") ? [] : ["c"];
    return this.spec.symmetry
      .filter((text) => namesIn(text).every((name) => name !== x && Object.hasOwn(env, name) && !derived.includes(name)))
      .map((text) => parse(text)(env));
  }

  /** The numbers of one of the lines over the axes `keep`. */
  read(id: number, keep: string[], at = this.indices(), ahead: string | null = null): Float32Array | null {
    const line = this.spec.lines[id];
    const meta = this.reader.metas[line.t];
    const index = meta.dims.map((dim) => line.fix?.[dim] ?? at[dim] ?? 0);
    const where = (dim: string) => meta.dims.indexOf(dim);
    return this.reader.slice(line.t, keep.map(where), index, ahead === null ? null : where(ahead));
  }

  /** Which values of a line over `keep` were masked; null where none is. */
  mask(id: number, keep: string[]): Uint8Array | null {
    const line = this.spec.lines[id];
    const { dims } = this.reader.metas[line.t];
    const at = this.indices();
    return this.reader.mask(line.t, keep.map((dim) => dims.indexOf(dim)), dims.map((dim) => line.fix?.[dim] ?? at[dim] ?? 0));
  }

  /** A value of a line as it was given, to the last digit that was kept. */
  text(id: number, value: number): string {
    return exact(value, this.reader.metas[this.spec.lines[id].t].error);
  }

  /** Key frequencies, where x is the circle that they belong to. */
  get keys(): readonly number[] {
    const x = this.state.x.value;
    return this.isResidues(x) ? this.spec.keys.filter((k) => 2 * k <= this.size(x)) : [];
  }

  /** The lines shown, after hiding and comparing; null while numbers are on their way. */
  lines(keep: string[] = [this.state.x.value], at = this.indices()): Line[] | null {
    const { hide, compare, play } = this.state;
    const list: Line[] = [];
    for (let id = 0; id < this.spec.lines.length; id++) {
      const paired = compare.value !== "overlay";
      if (paired ? id > 1 : hide.value.includes(id)) continue;
      const values = this.read(id, keep, at, play.value);
      if (!values) return null;
      list.push({ id, values, name: this.spec.lines[id].name, colour: this.theme.lines[id % this.theme.lines.length], dash: dashOf(Math.floor(id / 2) + (id % 2)) });
    }
    return this.compared(list);
  }

  private compared(list: Line[]): Line[] {
    const [a, b] = list;
    const compare = this.state.compare.value;
    if (!b || compare === "overlay") return list;
    if (compare === "A") return [a];
    if (compare === "B") return [b];
    if (compare === "flicker") return [this.flick.value ? b : a];
    if (compare === "A-B") return [{ ...a, name: `${a.name} − ${b.name}`, values: a.values.map((v, i) => v - b.values[i]) }];
    if (compare === "A/B") return [{ ...a, name: `${a.name} / ${b.name}`, values: a.values.map((v, i) => (b.values[i] === 0 ? NaN : v / b.values[i])) }];
    return [a, b];
  }

  private both(keep: string[]): Line[] | null {
    const one = this.lines(keep)?.[0];
    const parts = [0, 1].map((id) => this.read(id, keep));
    return one && parts[0] && parts[1] ? parts.map((values) => ({ ...one, values: values! })) : null;
  }

  /** Norm of A - B over the norm of B, for this slice. */
  relativeError(): number | null {
    if (this.spec.lines.length < 2 || this.state.compare.value === "overlay") return null;
    const [a, b] = [this.read(0, [this.state.x.value]), this.read(1, [this.state.x.value])];
    if (!a || !b) return null;
    const norm = (f: (i: number) => number) => Math.sqrt(a.reduce((sum, _, i) => sum + f(i) ** 2, 0));
    return norm((i) => a[i] - b[i]) / norm((i) => b[i]);
  }

  private readonly transforms = new Map<number, { key: string; made: Phasors }>();

  /** The phasors of a line as it is now, made once for a slice. */
  phasorsOf(line: Line): Phasors {
    const key = this.keyWithout(this.state.x.value) + this.flick.value;
    const known = this.transforms.get(line.id);
    if (known?.key === key) return known.made;
    const made = phasors(line.values);
    this.transforms.set(line.id, { key, made });
    return made;
  }

  /** A wave without the muted frequencies, and the share of its centred energy that is left. */
  heard(values: Float32Array): { values: Float32Array; left: number } {
    const mute = this.state.mute.value;
    if (!mute.length) return { values, left: 1 };
    const c = phasors(values);
    const w = power(c);
    let total = 0;
    let left = 0;
    for (let k = 1; k < w.length; k++) {
      total += w[k];
      if (!mute.includes(k)) left += w[k];
    }
    return { values: rebuild(c, (k) => !mute.includes(k)), left: total ? left / total : 1 };
  }

  /** Remembers the last value made for a name while its key stays the same. */
  once<T>(name: string, key: string, make: () => T): T {
    const known = this.memo.get(name);
    if (known?.key === key) return known.value as T;
    const value = make();
    this.memo.set(name, { key, value });
    return value;
  }

  /** Key of everything but the indices of some axes. */
  keyWithout(...dims: (string | null)[]): string {
    const fixed = this.spec.dims.filter((dim) => !dims.includes(dim)).map((dim) => `${dim}${this.index[dim].value}`);
    const { x, y, play, compare, hide, mute, quantity, grid } = this.state;
    return [fixed, x.value, y.value, play.value, grid.value, compare.value, hide.value, mute.value, quantity.value, this.shared.arrived.value].join("|");
  }

  /** All waves over x while `dim` runs through its indices, one Float32Array a line; null while on their way. */
  sweep(dim: string | null): { waves: Float32Array[]; n: number } | null {
    const x = this.state.x.value;
    const n = this.size(x);
    if (dim === null || dim === x) {
      const lines = this.lines();
      return lines && { waves: lines.map((l) => l.values), n };
    }
    const lines = this.lines([dim, x]);
    return lines && { waves: lines.map((l) => l.values), n };
  }

  /** Range of values by the chosen scope, for waves or pictures over `keep`. */
  range(keep: string[], alone: ArrayLike<number>[]): Range {
    // A, B, flicker and wipe are for comparing: both are on one scale.
    const single = ["A", "B", "flicker"].includes(this.state.compare.value);
    const pair = single ? [0, 1].map((id) => this.read(id, keep)).filter((v) => v !== null) : [];
    const shown = [...alone, ...pair];
    const { scope, play, compare, mute } = this.state;
    const plainLines = compare.value === "overlay" && !mute.value.length;
    if (scope.value === "all" && plainLines) {
      const metas = this.spec.lines.filter((_, id) => !this.state.hide.value.includes(id)).map((line) => this.reader.metas[line.t]);
      const ends = metas.flatMap((m) => (m.lo === null || m.hi === null ? [] : [[m.lo, m.hi]]));
      if (ends.length && ends.length === metas.length) return { extent: { lo: Math.min(...ends.map(([lo]) => lo)), hi: Math.max(...ends.map(([, hi]) => hi)) }, over: "all" };
    }
    const along = play.value;
    if (scope.value !== "slice" && along && !keep.includes(along)) {
      const spans = scope.value === "span" && keep.length === 1;
      const swept = this.once(`range/${spans}/${keep}`, this.keyWithout(along, ...keep), () => {
        const wide = [along, ...keep];
        if (wide.reduce((product, dim) => product * this.size(dim), 1) > this.mostSwept(wide)) return null;
        const lines = single ? this.both(wide) : this.lines(wide);
        if (!lines?.length) return null;
        return spans ? { lo: 0, hi: widest(lines, this.size(keep[0])) } : extent(...lines.map((l) => l.values));
      });
      if (swept && spans) return { extent: centred(extent(...shown), swept.hi), over: "span" };
      if (swept) return { extent: swept, over: "axis" };
    }
    return { extent: extent(...shown), over: "slice" };
  }

  /** How many values may be looked through for a range: many where they lie one after the other, few over a wire. */
  private mostSwept(keep: string[]): number {
    if (this.reader.streams) return 1 << 20;
    const [line] = this.spec.lines;
    const { dims } = this.reader.metas[line.t];
    return this.reader.isBlock(line.t, keep.map((dim) => dims.indexOf(dim))) ? 3e7 : 4e6;
  }
}

/** The largest extent that the lines together have in one slice of n values. */
function widest(lines: Line[], n: number): number {
  let most = 0;
  for (let row = 0; row * n < lines[0].values.length; row++) {
    const e = extent(...lines.map((line) => line.values.subarray(row * n, (row + 1) * n)));
    if (e) most = Math.max(most, e.hi - e.lo);
  }
  return most;
}

function centred(e: Extent | null, span: number): Extent | null {
  if (!e || e.hi - e.lo > span) return e;
  const middle = (e.lo + e.hi) / 2;
  return { lo: middle - span / 2, hi: middle + span / 2 };
}

export const clamp = (i: number, size: number): number => Math.max(0, Math.min(size - 1, i));

/** The third of a, b, c; where all three are axes, the one along x follows from the other two. */
function complete(env: Env, sign: 1 | -1, p: number, x: string): void {
  const all = ["a", "b", "c"].every((name) => env[name] !== undefined);
  const [a, b, c] = ["a", "b", "c"].map((name) => (all && name === x ? undefined : env[name]));
  if (a !== undefined && b !== undefined && c === undefined) env.c = mod(a + sign * b, p);
  else if (a !== undefined && c !== undefined && b === undefined) env.b = mod(sign * (c - a), p);
  else if (b !== undefined && c !== undefined && a === undefined) env.a = mod(c - sign * b, p);
}

export const toSeries = (line: Line, values: ArrayLike<number> = line.values): Series => ({ name: line.name, colour: line.colour, dash: line.dash, values });
export const waveRange = (e: Extent | null): [number, number] => padded(e);

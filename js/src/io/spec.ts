// The contract with Python, version 1. Numbers of tensors are never in it: `src` says where their block is.
import type { Quantity } from "../core/dft";
import type { SortKey } from "../core/order";
import type { TensorMeta } from "../core/tensor";
import type { Loop, Walk } from "../core/walk";
import type { Style } from "../view/wave";

export type Mode = "wave" | "spectrum" | "both" | "heatmap" | "spectrum2d" | "multiples" | "ridge";
/** "span": the widest slice along play sets the height, each slice is centred. */
export type Scope = "span" | "all" | "axis" | "slice";
export type Compare = "overlay" | "A" | "B" | "A-B" | "A/B" | "flicker" | "wipe";

/** Values of a callable, tabulated over the axes that it depends on. */
export interface Table<T> {
  axes: string[];
  shape: number[];
  values: (T | null)[];
}

export interface MarkerSpec {
  label: string;
  expr?: string;
  table?: Table<number>;
}

export interface LineSpec {
  t: number;
  fix?: Record<string, number>;
  name: string;
}

export interface State {
  index: Record<string, number>;
  x: string;
  play: string | null;
  y: string | null;
  grid: string | null;
  with: string | null;
  mode: Mode;
  quantity: Quantity;
  scope: Scope;
  style: Style;
  compare: Compare;
  sort: SortKey;
  walk: Walk;
  loop: Loop;
  seconds: number;
  mute: number[];
  hide: number[];
  fold: boolean;
  centre: boolean;
  trail: boolean;
  symmetry: boolean;
  sticks: boolean;
  robust: boolean;
  cyclic: boolean;
}

export interface ViewSpec {
  title: string;
  name: string;
  lines: LineSpec[];
  dims: string[];
  shape: number[];
  /** Axes whose index somebody chose. */
  chosen: string[];
  p: number | null;
  operation: "add" | "subtract" | null;
  columns: string | null;
  markers: MarkerSpec[];
  symmetry: string[];
  message: { template?: string; table?: Table<string> } | null;
  labels: Record<string, string[]>;
  coords: Record<string, number[]>;
  keys: number[];
  full: boolean;
  height: number | null;
  bookmarks: { label: string; state: Partial<State> }[];
  call: string;
  state: Partial<State>;
}

export interface PageSpec {
  v: 1;
  tensors: TensorMeta[];
  views: ViewSpec[];
  link: boolean;
  across: number;
  theme: "auto" | "light" | "dark";
  /** Where slices are asked for; "inline" when every block is in the page, "folder" when beside it. */
  source: "inline" | "folder" | "comm" | "http";
  base?: string;
}

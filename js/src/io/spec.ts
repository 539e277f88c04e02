// The contract with Python, version 1. Numbers of tensors are never in it: `src` says where their block is.
import type { Quantity } from "../core/dft";
import type { SortKey } from "../core/order";
import type { TensorMeta } from "../core/tensor";
import type { RampName } from "../core/colour";
import type { Kind } from "../core/scale";
import type { Loop, Walk } from "../core/walk";

export type Mode = "wave" | "spectrum" | "both" | "heatmap" | "spectrum2d" | "multiples" | "ridge";
/** "span": the widest slice along play sets the height, each slice is centred. */
export type Scope = "span" | "all" | "axis" | "slice";
/** "auto": the band-limited curve on circles where it is true to the samples, else straight. */
export type Joins = "auto" | "curve" | "joins" | "dots";
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
  style: Joins;
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
  colours: "auto" | RampName;
  /** Of values: heights of waves and bars, colours of pictures. */
  yscale: Kind;
  /** Of an axis with coordinates. */
  xscale: Kind;
  /** Lines are moved apart by this share of the height of the tallest. */
  offset: number;
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
  /** Axes that close: their last index is beside the first. */
  periodic?: string[];
  /** An index of an axis at which values are angles: colours close. */
  angles?: { dim: string; at: number } | null;
  /** Code that makes the array, before the call. */
  setup?: string;
  /** Losses over an axis, drawn under its slider. */
  losses?: { axis: string; lines: { name: string; values: (number | null)[] }[] } | null;
  operation: "add" | "subtract" | null;
  columns: string | null;
  markers: MarkerSpec[];
  symmetry: string[];
  /** "auto": nobody wrote it; it says what it says only where a, b and c fit together. */
  message: { template?: string; table?: Table<string>; auto?: boolean } | null;
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

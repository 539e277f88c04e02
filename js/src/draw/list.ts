// What a view returns: plain data, drawn by the canvas or the SVG back end, or in Python.
import type { Scale } from "../core/scale";

export interface Stroke {
  stroke: string;
  width?: number;
  dash?: readonly number[];
  alpha?: number;
}

export type Anchor = "start" | "middle" | "end";

export interface TextItem {
  t: "text";
  x: number;
  y: number;
  text: string;
  size: number;
  fill: string;
  anchor?: Anchor;
  /** "middle" unless said. */
  base?: "top" | "middle" | "bottom";
  weight?: number;
  halo?: string;
  turn?: number;
  mono?: boolean;
}

export type Item =
  /** A dense line has several samples a pixel: it is a band. */
  | ({ t: "line"; xs: ArrayLike<number>; ys: ArrayLike<number>; dense?: boolean } & Stroke)
  | ({ t: "segments"; points: number[] } & Stroke)
  | { t: "rect"; x: number; y: number; w: number; h: number; fill?: string; stroke?: string; width?: number; radius?: number; alpha?: number }
  | { t: "dots"; xs: ArrayLike<number>; ys: ArrayLike<number>; r: number; fill: string; stroke?: string; width?: number; alpha?: number }
  | { t: "area"; xs: ArrayLike<number>; ys: ArrayLike<number>; base: number; fill: string; alpha?: number }
  | TextItem
  | { t: "image"; x: number; y: number; w: number; h: number; columns: number; rows: number; rgba: Uint8ClampedArray }
  | { t: "clip"; x: number; y: number; w: number; h: number; items: Item[] };

export interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

/** Where the pointer may be read, and what it means there. */
export interface Pane {
  kind: "wave" | "spectrum" | "heat" | "plane" | "row" | "cell" | "ruler";
  box: Box;
  /** Domain of x over the box (of samples or frequencies) and of y. */
  x: [number, number];
  y: [number, number];
  /** Row, cell or series of which this pane is. */
  id?: number;
  /** Scales that are not straight. */
  px?: Scale;
  py?: Scale;
}

export interface Frame {
  width: number;
  height: number;
  items: Item[];
  panes: Pane[];
  /** Notes for the reader about what could not be drawn as it is. */
  notes: string[];
}

export const FONT = "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";
export const MONO = "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace";

/** Width of a text, near enough to place labels without measuring. */
export const textWidth = (text: string, size: number): number => text.length * size * 0.56;

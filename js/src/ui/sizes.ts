// How large pictures go out.
import type { Mode } from "../io/spec";

export const EXPORT_WIDTH = 900;

/** The height of the picture without its caption: square ones are taller. */
export function exportedSize(mode: Mode, width = EXPORT_WIDTH): number {
  const tall = ["heatmap", "spectrum2d"].includes(mode) ? 0.8 : ["multiples", "ridge", "both"].includes(mode) ? 0.71 : 0.467;
  return Math.round(tall * width);
}

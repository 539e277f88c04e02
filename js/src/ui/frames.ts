// Frames that any mode may give, and frames put under each other.
import type { Frame, Item, Pane } from "../draw/list";
import type { Line, Model } from "./model";

/** A frame with one sentence. */
export function words(model: Model, width: number, height: number, text: string): Frame {
  const item: Item = { t: "text", x: width / 2, y: height / 2, text, size: 14, fill: model.theme.soft, anchor: "middle" };
  return { width, height, items: [item], panes: [], notes: [] };
}

function moved(item: Item, dy: number): Item {
  switch (item.t) {
    case "line":
    case "dots":
      return { ...item, ys: Float64Array.from(item.ys, (y) => y + dy) };
    case "area":
      return { ...item, ys: Float64Array.from(item.ys, (y) => y + dy), base: item.base + dy };
    case "segments":
      return { ...item, points: item.points.map((v, i) => (i % 2 ? v + dy : v)) };
    case "clip":
      return { ...item, y: item.y + dy, items: item.items.map((inner) => moved(inner, dy)) };
    default:
      return { ...item, y: item.y + dy };
  }
}

export function stacked(frames: Frame[]): Frame {
  let y = 0;
  const out: Frame = { width: frames[0].width, height: 0, items: [], panes: [], notes: [] };
  for (const frame of frames) {
    const dy = y;
    out.items.push(...(dy ? frame.items.map((item) => moved(item, dy)) : frame.items));
    out.panes.push(...frame.panes.map((pane): Pane => ({ ...pane, box: { ...pane.box, y: pane.box.y + dy } })));
    out.notes.push(...frame.notes.filter((note) => !out.notes.includes(note)));
    y += frame.height;
  }
  out.height = y;
  return out;
}

interface Missing {
  nan: number;
  up: number;
  down: number;
  masked: number;
}

/** "2 NaN (×), 1 +inf (▲), 3 masked (□)": the values of these lines that have no place in the picture. */
export function missingNote(lines: Line[], masks: (Uint8Array | null)[], marks: Record<keyof Missing, string>): string[] {
  const n: Missing = { nan: 0, up: 0, down: 0, masked: 0 };
  lines.forEach((line, l) => {
    for (let i = 0; i < line.values.length; i++) {
      const v = line.values[i];
      if (Number.isFinite(v)) continue;
      n[masks[l]?.[i] ? "masked" : Number.isNaN(v) ? "nan" : v > 0 ? "up" : "down"]++;
    }
  });
  const names = { nan: "NaN", up: "+inf", down: "−inf", masked: "masked" };
  const parts = (Object.keys(n) as (keyof Missing)[]).filter((kind) => n[kind]).map((kind) => `${n[kind]} ${names[kind]} (${marks[kind]})`);
  return parts.length ? [parts.join(", ")] : [];
}

export const WAVE_MARKS = { nan: "×", up: "⌃ above", down: "⌄ below", masked: "□" };
export const CELL_MARKS = { nan: "grey ×", up: "magenta", down: "green", masked: "left out" };

/** A frame with title, caption and message above, as it is exported. */
export function captioned(model: Model, frame: Frame): Frame {
  const { theme } = model;
  const line = (y: number, text: string, size: number, weight = 400, mono = false): Item => ({ t: "text", x: 14, y, text, size, weight, fill: weight > 400 ? theme.ink : theme.soft, mono });
  const items: Item[] = [line(18, model.spec.title || model.spec.name, 15, 650), line(38, model.caption(), 11.5, 400, true)];
  const message = model.message();
  if (message) items.push({ t: "text", x: frame.width - 14, y: 18, text: message, size: 14, weight: 600, fill: theme.mark, anchor: "end" });
  if (!frame.notes.length) return stacked([{ width: frame.width, height: 50, items, panes: [], notes: [] }, frame]);
  const notes: Item = { t: "text", x: 14, y: 56, text: frame.notes.join("; "), size: 11, fill: theme.soft };
  return stacked([{ width: frame.width, height: 66, items: [...items, notes], panes: [], notes: [] }, frame]);
}

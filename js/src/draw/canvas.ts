import { FONT, MONO, type Frame, type Item, type TextItem } from "./list";

type Context = CanvasRenderingContext2D;

const images = new WeakMap<Uint8ClampedArray, HTMLCanvasElement>();
const scratch = new Map<string, HTMLCanvasElement>();
/** Pictures of more cells are kept, smaller ones are put on one canvas of their size each time. */
const KEPT = 1 << 16;

function canvasOf(columns: number, rows: number): HTMLCanvasElement {
  const made = document.createElement("canvas");
  made.width = columns;
  made.height = rows;
  return made;
}

function bitmap(rgba: Uint8ClampedArray, columns: number, rows: number): HTMLCanvasElement {
  const kept = images.get(rgba);
  if (kept) return kept;
  const small = columns * rows <= KEPT;
  const key = `${columns} ${rows}`;
  const found = (small && scratch.get(key)) || canvasOf(columns, rows);
  found.getContext("2d")!.putImageData(new ImageData(rgba as Uint8ClampedArray<ArrayBuffer>, columns, rows), 0, 0);
  if (!small) images.set(rgba, found);
  else if (!scratch.has(key)) {
    if (scratch.size > 32) scratch.clear();
    scratch.set(key, found);
  }
  return found;
}

function stroke(ctx: Context, item: { stroke: string; width?: number; dash?: readonly number[]; alpha?: number }) {
  ctx.globalAlpha = item.alpha ?? 1;
  ctx.strokeStyle = item.stroke;
  ctx.lineWidth = item.width ?? 1;
  ctx.setLineDash((item.dash ?? []) as number[]);
  ctx.stroke();
  ctx.globalAlpha = 1;
}

function text(ctx: Context, item: TextItem) {
  let { x, y } = item;
  if (item.turn) {
    ctx.save();
    ctx.translate(x, y);
    ctx.rotate((item.turn * Math.PI) / 180);
    [x, y] = [0, 0];
  }
  const font = `${item.weight ?? 400} ${item.size}px ${item.mono ? MONO : FONT}`;
  if (fonts.get(ctx) !== font) {
    ctx.font = font;
    if (!item.turn) fonts.set(ctx, font);
  }
  ctx.textAlign = item.anchor === "middle" ? "center" : item.anchor === "end" ? "right" : "left";
  ctx.textBaseline = item.base ?? "middle";
  if (item.halo) {
    ctx.strokeStyle = item.halo;
    ctx.lineWidth = 3.5;
    ctx.setLineDash([]);
    ctx.strokeText(item.text, x, y);
  }
  ctx.fillStyle = item.fill;
  ctx.fillText(item.text, x, y);
  if (item.turn) ctx.restore();
}

/** The font that a canvas has. */
const fonts = new WeakMap<Context, string>();

/** A band of a dense line: one bar a device column from its lowest to its highest point, joined to the bars beside it. As a
 * stroke it would take twenty times as long without a graphics card. */
function band(ctx: Context, pixel: number, { xs, ys, stroke, alpha }: { xs: ArrayLike<number>; ys: ArrayLike<number>; stroke: string; alpha?: number }): void {
  ctx.globalAlpha = alpha ?? 1;
  ctx.fillStyle = stroke;
  let [column, lo, hi, before] = [NaN, Infinity, -Infinity, NaN];
  const fill = (to: number) => {
    if (lo <= hi) ctx.fillRect(column * pixel, lo - 0.5, (to - column) * pixel, hi - lo + 1);
  };
  for (let i = 0; i < xs.length; i++) {
    const [y, at] = [ys[i], Math.floor(xs[i] / pixel)];
    if (at !== column) {
      // Two columns meet half way; those between belong to the first, unless there is a gap.
      const middle = (before + y) / 2;
      const joined = Number.isFinite(middle);
      if (joined) [lo, hi] = [Math.min(lo, middle), Math.max(hi, middle)];
      fill(joined ? at : column + 1);
      [column, lo, hi] = joined ? [at, middle, middle] : [at, Infinity, -Infinity];
    }
    if (y < lo) lo = y;
    if (y > hi) hi = y;
    before = y;
  }
  fill(column + 1);
  ctx.globalAlpha = 1;
}

const LONG = 60;
/** So long a line is a band of pixels while it moves: a hair shows all of it. */
const DENSE = 1200;

/** Without a graphics card a long curve is twenty times slower at widths above one device pixel: in a hurry
 * hairlines beside each other make the width. */
function curve(ctx: Context, pixel: number, item: { xs: ArrayLike<number>; stroke: string; width?: number; alpha?: number }, hurried: boolean): void {
  if (hurried && item.xs.length > DENSE) return stroke(ctx, { stroke: item.stroke, width: pixel, alpha: item.alpha });
  const spare = ((item.width ?? 1) - pixel) / 2;
  if (!hurried || item.xs.length < LONG || (item.alpha ?? 1) < 0.8 || spare <= 0 || spare > 0.6 * pixel) {
    return stroke(ctx, { stroke: item.stroke, width: item.width, alpha: item.alpha });
  }
  for (const [dx, dy] of [[spare, 0], [-spare, spare], [-spare, -spare], [spare, -spare]]) {
    ctx.translate(dx, dy);
    stroke(ctx, { stroke: item.stroke, width: pixel, alpha: item.alpha });
  }
  ctx.translate(0, spare);
}

/** Dashes laid out here: the canvas's own are several times slower on long curves without a graphics card. */
function dashed(ctx: Context, xs: ArrayLike<number>, ys: ArrayLike<number>, dash: readonly number[]): void {
  let part = 0;
  let left = dash[0];
  for (let i = 1; i < xs.length; i++) {
    let [x, y] = [xs[i - 1], ys[i - 1]];
    let length = Math.hypot(xs[i] - x, ys[i] - y);
    if (!Number.isFinite(length)) continue;
    ctx.moveTo(x, y);
    while (length > 0) {
      const t = Math.min(1, left / length);
      x += (xs[i] - x) * t;
      y += (ys[i] - y) * t;
      if (part % 2) ctx.moveTo(x, y);
      else ctx.lineTo(x, y);
      if (left > length) {
        left -= length;
        break;
      }
      length -= left;
      part = (part + 1) % dash.length;
      left = dash[part];
    }
  }
}

/** Draws an item; a device pixel is so large in its units. */
function draw(ctx: Context, item: Item, pixel: number, hurried: boolean): void {
  switch (item.t) {
    case "line": {
      if (item.dense) return band(ctx, pixel, item);
      ctx.beginPath();
      if (item.dash?.length) {
        dashed(ctx, item.xs, item.ys, item.dash);
        return curve(ctx, pixel, item, hurried);
      }
      let open = false;
      for (let i = 0; i < item.xs.length; i++) {
        const y = item.ys[i];
        if (!Number.isFinite(y)) open = false;
        else if (open) ctx.lineTo(item.xs[i], y);
        else {
          ctx.moveTo(item.xs[i], y);
          open = true;
        }
      }
      return curve(ctx, pixel, item, hurried);
    }
    case "segments": {
      ctx.beginPath();
      for (let i = 0; i < item.points.length; i += 4) {
        ctx.moveTo(item.points[i], item.points[i + 1]);
        ctx.lineTo(item.points[i + 2], item.points[i + 3]);
      }
      return stroke(ctx, item);
    }
    case "area": {
      ctx.beginPath();
      ctx.moveTo(item.xs[0], item.base);
      for (let i = 0; i < item.xs.length; i++) ctx.lineTo(item.xs[i], Number.isFinite(item.ys[i]) ? item.ys[i] : item.base);
      ctx.lineTo(item.xs[item.xs.length - 1], item.base);
      ctx.closePath();
      ctx.globalAlpha = item.alpha ?? 1;
      ctx.fillStyle = item.fill;
      ctx.fill();
      ctx.globalAlpha = 1;
      return;
    }
    case "rect": {
      ctx.beginPath();
      ctx.globalAlpha = item.alpha ?? 1;
      ctx.roundRect(item.x, item.y, item.w, item.h, item.radius ?? 0);
      if (item.fill) {
        ctx.fillStyle = item.fill;
        ctx.fill();
      }
      if (item.stroke) stroke(ctx, { ...item, stroke: item.stroke });
      ctx.globalAlpha = 1;
      return;
    }
    case "dots": {
      ctx.beginPath();
      for (let i = 0; i < item.xs.length; i++) {
        if (!Number.isFinite(item.ys[i])) continue;
        ctx.moveTo(item.xs[i] + item.r, item.ys[i]);
        ctx.arc(item.xs[i], item.ys[i], item.r, 0, 2 * Math.PI);
      }
      ctx.globalAlpha = item.alpha ?? 1;
      ctx.fillStyle = item.fill;
      ctx.fill();
      if (item.stroke) stroke(ctx, { stroke: item.stroke, width: item.width });
      ctx.globalAlpha = 1;
      return;
    }
    case "text":
      return text(ctx, item);
    case "image":
      ctx.imageSmoothingEnabled = false;
      ctx.drawImage(bitmap(item.rgba, item.columns, item.rows), item.x, item.y, item.w, item.h);
      return;
    case "clip":
      ctx.save();
      ctx.beginPath();
      ctx.rect(item.x, item.y, item.w, item.h);
      ctx.clip();
      for (const inner of item.items) draw(ctx, inner, pixel, hurried);
      ctx.restore();
  }
}

function prepare(ctx: Context, ratio: number): void {
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.lineJoin = "round";
  ctx.lineCap = "butt";
}

function sized(canvas: HTMLCanvasElement, w: number, h: number): boolean {
  if (canvas.width === w && canvas.height === h) return false;
  canvas.width = w;
  canvas.height = h;
  fonts.delete(canvas.getContext("2d")!);
  return true;
}

/** What stays from frame to frame (axes, names, panels stand first in a list) is drawn once, on a layer of its own. */
class Layer {
  private readonly canvas = document.createElement("canvas");
  private items: readonly Item[] = [];
  private ground = "";
  private ratio = 0;
  private last: readonly Item[] = [];

  /** Draws the ground and the first items of a frame; how many of them. */
  under(ctx: Context, frame: Frame, ratio: number, ground: string): number {
    const { width, height, items } = frame;
    const fresh = sized(this.canvas, ctx.canvas.width, ctx.canvas.height) || ground !== this.ground || ratio !== this.ratio;
    if (fresh) this.items = [];
    const alike = common(items, this.last);
    const known = common(items, this.items);
    this.last = items;
    if (known < this.items.length || alike > known + SPARE) {
      this.items = alike >= SPARE ? items.slice(0, alike) : [];
      [this.ground, this.ratio] = [ground, ratio];
      if (this.items.length) {
        const own = this.canvas.getContext("2d", { alpha: false })!;
        prepare(own, ratio);
        own.fillStyle = ground;
        own.fillRect(0, 0, width, height);
        for (const item of this.items) draw(own, item, 1 / ratio, false);
      }
    }
    if (this.items.length) {
      ctx.setTransform(1, 0, 0, 1, 0, 0);
      ctx.imageSmoothingEnabled = false;
      ctx.drawImage(this.canvas, 0, 0);
      prepare(ctx, ratio);
    } else {
      ctx.fillStyle = ground;
      ctx.fillRect(0, 0, width, height);
    }
    return this.items.length;
  }
}

/** So few items are drawn as fast as a layer is. */
const SPARE = 6;

/** How many items two lists begin with that are alike. */
function common(one: readonly Item[], other: readonly Item[]): number {
  const most = Math.min(one.length, other.length);
  for (let i = 0; i < most; i++) if (!alike(one[i], other[i])) return i;
  return most;
}

const LONGEST = 64;

function alike(one: Item, other: Item): boolean {
  if (one === other) return true;
  if (one.t !== other.t || one.t === "clip") return false;
  const [a, b] = [one as unknown as Record<string, unknown>, other as unknown as Record<string, unknown>];
  for (const key in a) {
    const [v, w] = [a[key], b[key]];
    if (v === w) continue;
    if (typeof v !== "object" || typeof w !== "object" || !v || !w) return false;
    const [list, its] = [v as ArrayLike<number>, w as ArrayLike<number>];
    if (list.length !== its.length || list.length > LONGEST) return false;
    for (let i = 0; i < list.length; i++) if (list[i] !== its[i]) return false;
  }
  return true;
}

const layers = new WeakMap<HTMLCanvasElement, Layer>();

/** Draws a frame on a canvas at so many pixels per unit; `hurried` while frames follow each other. */
export function paint(canvas: HTMLCanvasElement, frame: Frame, ratio: number, ground: string, hurried = false): void {
  sized(canvas, Math.round(frame.width * ratio), Math.round(frame.height * ratio));
  const ctx = canvas.getContext("2d")!;
  prepare(ctx, ratio);
  let layer = layers.get(canvas);
  if (!layer) layers.set(canvas, (layer = new Layer()));
  const under = layer.under(ctx, frame, ratio, ground);
  for (let i = under; i < frame.items.length; i++) draw(ctx, frame.items[i], 1 / ratio, hurried);
}

import { FONT, MONO, type Frame, type Item, type TextItem } from "./list";

type Context = CanvasRenderingContext2D;

const images = new WeakMap<Uint8ClampedArray, HTMLCanvasElement>();

function bitmap(rgba: Uint8ClampedArray, columns: number, rows: number): HTMLCanvasElement {
  let found = images.get(rgba);
  if (!found) {
    found = document.createElement("canvas");
    found.width = columns;
    found.height = rows;
    found.getContext("2d")!.putImageData(new ImageData(rgba as Uint8ClampedArray<ArrayBuffer>, columns, rows), 0, 0);
    images.set(rgba, found);
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
  ctx.save();
  ctx.translate(item.x, item.y);
  if (item.turn) ctx.rotate((item.turn * Math.PI) / 180);
  ctx.font = `${item.weight ?? 400} ${item.size}px ${item.mono ? MONO : FONT}`;
  ctx.textAlign = item.anchor === "middle" ? "center" : item.anchor === "end" ? "right" : "left";
  ctx.textBaseline = item.base ?? "middle";
  if (item.halo) {
    ctx.strokeStyle = item.halo;
    ctx.lineWidth = 3.5;
    ctx.lineJoin = "round";
    ctx.setLineDash([]);
    ctx.strokeText(item.text, 0, 0);
  }
  ctx.fillStyle = item.fill;
  ctx.fillText(item.text, 0, 0);
  ctx.restore();
}

const LONG = 60;
/** So long a line is a band of pixels while it moves: a hair shows all of it. */
const DENSE = 1200;

/** Without a graphics card a long curve is twenty times slower at widths above one device pixel: in a hurry
 * hairlines beside each other make the width. */
function curve(ctx: Context, item: { xs: ArrayLike<number>; stroke: string; width?: number; alpha?: number }, hurried: boolean): void {
  const pixel = 1 / ctx.getTransform().a;
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

function draw(ctx: Context, item: Item, hurried: boolean): void {
  switch (item.t) {
    case "line": {
      ctx.beginPath();
      if (item.dash?.length) {
        dashed(ctx, item.xs, item.ys, item.dash);
        return curve(ctx, item, hurried);
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
      return curve(ctx, item, hurried);
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
      for (const inner of item.items) draw(ctx, inner, hurried);
      ctx.restore();
  }
}

/** Draws a frame on a canvas at so many pixels per unit; `hurried` while frames follow each other. */
export function paint(canvas: HTMLCanvasElement, frame: Frame, ratio: number, ground: string, hurried = false): void {
  const [w, h] = [Math.round(frame.width * ratio), Math.round(frame.height * ratio)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const ctx = canvas.getContext("2d")!;
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.lineJoin = "round";
  ctx.lineCap = "butt";
  ctx.fillStyle = ground;
  ctx.fillRect(0, 0, frame.width, frame.height);
  for (const item of frame.items) draw(ctx, item, hurried);
}

import { FONT, MONO, type Frame, type Item } from "./list";
import { base64, png } from "./png";

// The name of the format, put together so that the bundle holds no address.
const NAMESPACE = ["http:", "", "www.w3.org", "2000", "svg"].join("/");

const escape = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]!);
const n = (v: number): string => `${Math.round(v * 100) / 100}`;

function strokeOf(item: { stroke?: string; width?: number; dash?: readonly number[]; alpha?: number }): string {
  if (!item.stroke) return "";
  const dash = item.dash?.length ? ` stroke-dasharray="${item.dash.join(" ")}"` : "";
  return ` stroke="${item.stroke}" stroke-width="${n(item.width ?? 1)}"${dash}`;
}
const alphaOf = (item: { alpha?: number }): string =>
  item.alpha === undefined || item.alpha === 1 ? "" : ` opacity="${n(item.alpha)}"`;

function polyline(xs: ArrayLike<number>, ys: ArrayLike<number>): string {
  let out = "";
  let open = false;
  for (let i = 0; i < xs.length; i++) {
    if (!Number.isFinite(ys[i])) {
      open = false;
      continue;
    }
    out += `${open ? "L" : "M"}${n(xs[i])} ${n(ys[i])}`;
    open = true;
  }
  return out;
}

function one(item: Item, clips: string[], prefix: string): string {
  switch (item.t) {
    case "line":
      return `<path d="${polyline(item.xs, item.ys)}" fill="none" stroke-linejoin="round"${strokeOf(item)}${alphaOf(item)}/>`;
    case "segments": {
      let d = "";
      for (let i = 0; i < item.points.length; i += 4) {
        const [x1, y1, x2, y2] = item.points.slice(i, i + 4);
        d += `M${n(x1)} ${n(y1)}L${n(x2)} ${n(y2)}`;
      }
      return `<path d="${d}" fill="none"${strokeOf(item)}${alphaOf(item)}/>`;
    }
    case "area": {
      const last = item.xs.length - 1;
      const d = `M${n(item.xs[0])} ${n(item.base)}${polyline(item.xs, item.ys).replace(/M/g, "L")}L${n(item.xs[last])} ${n(item.base)}Z`;
      return `<path d="${d}" fill="${item.fill}"${alphaOf(item)}/>`;
    }
    case "rect":
      return `<rect x="${n(item.x)}" y="${n(item.y)}" width="${n(item.w)}" height="${n(item.h)}" rx="${n(item.radius ?? 0)}" fill="${item.fill ?? "none"}"${strokeOf(item)}${alphaOf(item)}/>`;
    case "dots": {
      let out = "";
      for (let i = 0; i < item.xs.length; i++) {
        if (Number.isFinite(item.ys[i])) out += `<circle cx="${n(item.xs[i])}" cy="${n(item.ys[i])}" r="${n(item.r)}"/>`;
      }
      return `<g fill="${item.fill}"${strokeOf(item)}${alphaOf(item)}>${out}</g>`;
    }
    case "text": {
      const turn = item.turn ? ` transform="rotate(${item.turn} ${n(item.x)} ${n(item.y)})"` : "";
      const base = { top: "hanging", middle: "central", bottom: "auto" }[item.base ?? "middle"];
      const halo = item.halo ? ` stroke="${item.halo}" stroke-width="3.5" stroke-linejoin="round" paint-order="stroke"` : "";
      const family = item.mono ? ` font-family="${escape(MONO)}"` : "";
      return `<text x="${n(item.x)}" y="${n(item.y)}" font-size="${item.size}" font-weight="${item.weight ?? 400}" fill="${item.fill}" text-anchor="${item.anchor ?? "start"}" dominant-baseline="${base}"${halo}${family}${turn}>${escape(item.text)}</text>`;
    }
    case "image":
      return `<image x="${n(item.x)}" y="${n(item.y)}" width="${n(item.w)}" height="${n(item.h)}" preserveAspectRatio="none" image-rendering="pixelated" href="data:image/png;base64,${base64(png(item.rgba, item.columns, item.rows))}"/>`;
    case "clip": {
      const id = `${prefix}clip${clips.length}`;
      clips.push(`<clipPath id="${id}"><rect x="${n(item.x)}" y="${n(item.y)}" width="${n(item.w)}" height="${n(item.h)}"/></clipPath>`);
      return `<g clip-path="url(#${id})">${item.items.map((inner) => one(inner, clips, prefix)).join("")}</g>`;
    }
  }
}

/** A frame as the text of an SVG file; `prefix` keeps the names in it apart where several stand on one page. */
export function svg(frame: Frame, ground: string, title: string, prefix = ""): string {
  const clips: string[] = [];
  const body = frame.items.map((item) => one(item, clips, prefix)).join("\n");
  return (
    `<svg xmlns="${NAMESPACE}" viewBox="0 0 ${n(frame.width)} ${n(frame.height)}" width="${n(frame.width)}" height="${n(frame.height)}" font-family="${escape(FONT)}">` +
    `<title>${escape(title)}</title><defs>${clips.join("")}</defs>` +
    `<rect width="100%" height="100%" fill="${ground}"/>\n${body}\n</svg>\n`
  );
}

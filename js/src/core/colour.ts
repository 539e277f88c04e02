// Colours: Okabe-Ito for lines; perceptual ramps made in OKLab for pictures.
import { scaled, type Kind } from "./scale";

export const OKABE_ITO = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442"];

type Lab = [number, number, number];
export type Ramp = Uint8ClampedArray; // 256 * 3

function srgb(v: number): number {
  return 255 * (v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055);
}

function fromOklab([L, a, b]: Lab): [number, number, number] {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    srgb(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    srgb(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    srgb(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s),
  ];
}

const polar = (L: number, chroma: number, hue: number): Lab => {
  const t = (hue * Math.PI) / 180;
  return [L, chroma * Math.cos(t), chroma * Math.sin(t)];
};

function ramp(stops: Lab[]): Ramp {
  const out = new Uint8ClampedArray(256 * 3);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * (stops.length - 1);
    const j = Math.min(Math.floor(at), stops.length - 2);
    const t = at - j;
    const lab = stops[j].map((v, c) => v + (stops[j + 1][c] - v) * t) as Lab;
    out.set(fromOklab(lab), 3 * i);
  }
  return out;
}

export type RampName = "sequential" | "diverging" | "cyclic" | "grey";

const light: Record<RampName, Ramp> = {
  sequential: ramp([polar(0.985, 0.01, 95), polar(0.86, 0.1, 85), polar(0.7, 0.15, 40), polar(0.5, 0.16, 0), polar(0.33, 0.13, 310), polar(0.2, 0.07, 285)]),
  diverging: ramp([polar(0.3, 0.1, 262), polar(0.5, 0.15, 250), polar(0.75, 0.09, 240), polar(0.985, 0, 0), polar(0.77, 0.11, 60), polar(0.57, 0.17, 38), polar(0.34, 0.11, 30)]),
  cyclic: ramp(Array.from({ length: 25 }, (_, i) => polar(0.62 + 0.18 * Math.cos((2 * Math.PI * i) / 24), 0.11, 240 + 15 * i))),
  grey: ramp([polar(0.98, 0, 0), polar(0.15, 0, 0)]),
};
const dark: Record<RampName, Ramp> = {
  sequential: ramp([polar(0.2, 0.02, 285), polar(0.34, 0.12, 300), polar(0.5, 0.17, 0), polar(0.69, 0.16, 40), polar(0.86, 0.12, 85), polar(0.98, 0.03, 100)]),
  diverging: ramp([polar(0.86, 0.07, 225), polar(0.68, 0.13, 245), polar(0.45, 0.12, 255), polar(0.22, 0.005, 0), polar(0.47, 0.13, 38), polar(0.7, 0.16, 52), polar(0.88, 0.09, 75)]),
  cyclic: light.cyclic,
  grey: ramp([polar(0.2, 0, 0), polar(0.98, 0, 0)]),
};

export const rampOf = (name: RampName, isDark: boolean): Ramp => (isDark ? dark : light)[name];
export const css = (table: Ramp, t: number): string => {
  const i = 3 * Math.max(0, Math.min(255, Math.round(t * 255)));
  return `rgb(${table[i]},${table[i + 1]},${table[i + 2]})`;
};

export interface Theme {
  dark: boolean;
  ink: string;
  soft: string;
  faint: string;
  grid: string;
  ground: string;
  panel: string;
  accent: string;
  mark: string;
  lines: string[];
}

const DASHES: number[][] = [[], [7, 3], [2, 2.5], [9, 3, 2, 3], [5, 2, 1.5, 2, 1.5, 2]];

export const THEMES: Record<"light" | "dark", Theme> = {
  light: {
    dark: false,
    ink: "#1b1f24",
    soft: "#57606a",
    faint: "#7f8893",
    grid: "#e8ebef",
    ground: "#ffffff",
    panel: "#f6f8fa",
    accent: "#0072B2",
    mark: "#B5179E",
    // Okabe-Ito, the three light ones darkened to a contrast of 3:1 on white.
    lines: ["#0072B2", "#D55E00", "#00855F", "#B85C93", "#A06A00", "#2F86BF", "#1b1f24", "#857A00", "#5B4B9A", "#6B7280"],
  },
  dark: {
    dark: true,
    ink: "#e6edf3",
    soft: "#a3adb8",
    faint: "#768390",
    grid: "#262c34",
    ground: "#0f1318",
    panel: "#181d24",
    accent: "#56B4E9",
    mark: "#F472D0",
    lines: ["#56B4E9", "#F08A3C", "#2CC79B", "#E199C6", "#E69F00", "#8EA8FF", "#e6edf3", "#F0E442", "#B7A6F5", "#9AA4B2"],
  },
};

export const dashOf = (i: number): number[] => DASHES[i % DASHES.length];

export interface ColourScale {
  ramp: RampName;
  lo: number;
  hi: number;
  /** Straight unless said; the knee is where symlog turns. */
  kind?: Kind;
  knee?: number;
}

/** The place of a value between the ends of the colours: 0 to 1 within them. */
export function placeOf(scale: ColourScale): (v: number) => number {
  const at = scaled(scale.kind ?? "linear", [scale.lo, scale.hi], [0, 1], scale.knee);
  if ((scale.kind ?? "linear") !== "linear") return (v) => at(v);
  const by = 1 / (scale.hi - scale.lo);
  return (v) => (v - scale.lo) * by;
}

/** Sequential for one sign, diverging centred at 0 for both, cyclic for phases. */
export function colourScale(lo: number, hi: number, cyclic = false): ColourScale {
  if (cyclic) return { ramp: "cyclic", lo: -Math.PI, hi: Math.PI };
  if (lo < 0 && hi > 0) {
    const reach = Math.max(-lo, hi);
    return { ramp: "diverging", lo: -reach, hi: reach };
  }
  return { ramp: "sequential", lo, hi: hi > lo ? hi : lo + 1 };
}

/** Colours of cells that hold no number, unlike any colour of a number; masked cells are left out of the picture. */
export const MISSING = { nan: [150, 150, 150], up: [226, 0, 190], down: [0, 158, 60] } as const;

const LITTLE = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
const word = (r: number, g: number, b: number): number => (LITTLE ? (255 << 24) | (b << 16) | (g << 8) | r : (r << 24) | (g << 16) | (b << 8) | 255) >>> 0;
const words = new WeakMap<Ramp, Uint32Array>();

/** The colours of a ramp as whole pixels. */
function wordsOf(table: Ramp): Uint32Array {
  let found = words.get(table);
  if (!found) {
    found = Uint32Array.from({ length: 256 }, (_, i) => word(table[3 * i], table[3 * i + 1], table[3 * i + 2]));
    words.set(table, found);
  }
  return found;
}

/** Colours cells from `i` on, up to the first that has no place between the ends; where that is. */
function run(values: ArrayLike<number>, i: number, lo: number, by: number, colours: Uint32Array, out: Uint32Array): number {
  for (; i < values.length; i++) {
    const t = (values[i] - lo) * by;
    if (!(t >= 0 && t <= 1)) return i;
    out[i] = colours[(255 * t + 0.5) | 0];
  }
  return i;
}

const byte = (v: number): number => Math.max(0, Math.min(255, v));

/** Pixels of a picture; values outside the colours are hatched, cells without a number have their own. */
export function pixels(values: ArrayLike<number>, scale: ColourScale, table: Ramp, columns: number, mask: ArrayLike<number> | null = null): { rgba: Uint8ClampedArray; clipped: number } {
  const rgba = new Uint8ClampedArray(values.length * 4);
  const out = new Uint32Array(rgba.buffer);
  const colours = wordsOf(table);
  const slack = 1e-6;
  const straight = (scale.kind ?? "linear") === "linear";
  const place = placeOf(scale);
  const [lo, by] = [scale.lo, 1 / (scale.hi - scale.lo)];
  const own = { nan: word(...MISSING.nan), up: word(...MISSING.up), down: word(...MISSING.down) };
  let clipped = 0;
  for (let i = 0; i < values.length; i++) {
    // Nearly every cell of nearly every picture.
    if (straight) i = run(values, i, lo, by, colours, out);
    if (i === values.length) break;
    const v = values[i];
    const t = place(v);
    if (t >= 0 && t <= 1) {
      out[i] = colours[(255 * t + 0.5) | 0];
      continue;
    }
    if (!Number.isFinite(v)) {
      if (!mask?.[i]) out[i] = Number.isNaN(v) ? own.nan : v > 0 ? own.up : own.down;
      continue;
    }
    const end = t > 0 ? 255 : 0;
    if (t >= -slack && t <= 1 + slack) {
      out[i] = colours[end];
      continue;
    }
    clipped++;
    const at = 3 * end;
    const shade = (i + Math.floor(i / columns)) % 2 ? (table[at] > 127 ? -70 : 90) : 0;
    out[i] = word(byte(table[at] + shade), byte(table[at + 1] + shade), byte(table[at + 2] + shade));
  }
  return { rgba, clipped };
}

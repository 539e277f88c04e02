// The canvas: redraws once a display frame when anything changed, and morphs between wave and spectrum.
import { amplitude, phasors } from "../core/dft";
import { alias } from "../core/modp";
import { paint } from "../draw/canvas";
import type { Frame } from "../draw/list";
import type { Mode } from "../io/spec";
import type { Writes } from "./dom";
import type { Model } from "./model";
import { sceneOf } from "./scene";

const MORPH = 280;
/** Longer waves have no points to follow. */
const MOST_MORPHED = 512;
/** Frames nearer than this (in ms) are part of a movement; the finer picture comes when it ends. */
const HURRY = 100;

export class Screen {
  frame: Frame = { width: 1, height: 1, items: [], panes: [], notes: [] };
  private request = 0;
  private painted = -HURRY;
  private rest = 0;
  private mode: Mode;
  private size: [number, number] = [0, 0];
  private morph: { from: HTMLCanvasElement; start: number; points: [number, number][] } | null = null;
  private readonly sizes: ResizeObserver;

  constructor(
    private readonly model: Model,
    private readonly canvas: HTMLCanvasElement,
    private readonly plot: HTMLElement,
    private readonly notes: HTMLElement,
    private readonly writes: Writes,
    private readonly reduced: boolean,
    watch: (run: () => void) => void,
  ) {
    this.mode = model.state.mode.peek();
    this.sizes = new ResizeObserver(() => this.ask());
    this.sizes.observe(plot);
    watch(() => {
      model.touch();
      this.ask();
    });
  }

  end(): void {
    this.sizes.disconnect();
    clearTimeout(this.rest);
    cancelAnimationFrame(this.request);
  }

  private ask(): void {
    if (!this.request) this.request = requestAnimationFrame((now) => this.draw(now));
  }

  private draw(now: number): void {
    this.request = 0;
    const { model, canvas, plot } = this;
    const [width, height] = [plot.clientWidth, plot.clientHeight];
    if (!width || !height) return;
    const mode = model.state.mode.peek();
    const ratio = Math.max(1, window.devicePixelRatio || 1);
    if (mode !== this.mode) {
      this.begin(mode, now);
      this.mode = mode;
      model.hover.value = null;
      model.windows.value = {};
    }
    this.frame = sceneOf(model, width, height);
    const hurried = now - this.painted < HURRY;
    this.painted = now;
    paint(canvas, this.frame, ratio, model.theme.ground, hurried);
    clearTimeout(this.rest);
    if (hurried) this.rest = window.setTimeout(() => this.ask(), HURRY + 40);
    if (width !== this.size[0] || height !== this.size[1]) {
      this.size = [width, height];
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    this.writes.put(this, () => this.tell());
    if (this.morph) this.blend(now, ratio);
  }

  /** The notes below the picture, and what it is for those who hear the page. */
  private tell(): void {
    const { model, canvas } = this;
    const text = [model.progress.peek(), ...this.frame.notes].filter(Boolean).join("; ");
    if (this.notes.textContent !== text) this.notes.textContent = text;
    const label = [model.caption(), model.message(), text].filter(Boolean).join(". ");
    if (canvas.getAttribute("aria-label") !== label) canvas.setAttribute("aria-label", label);
  }

  private begin(mode: Mode, now: number): void {
    const pair = [mode, this.mode].sort().join();
    const long = this.model.size(this.model.state.x.peek()) > MOST_MORPHED;
    if (this.reduced || pair !== "spectrum,wave" || this.canvas.width < 2 || long) return;
    const from = document.createElement("canvas");
    from.width = this.canvas.width;
    from.height = this.canvas.height;
    from.getContext("2d")!.drawImage(this.canvas, 0, 0);
    this.morph = { from, start: now, points: dataPoints(this.model, this.frame, this.mode) };
  }

  private blend(now: number, ratio: number): void {
    const morph = this.morph!;
    const t = Math.min(1, (now - morph.start) / MORPH);
    if (t >= 1 || morph.from.width !== this.canvas.width) {
      this.morph = null;
      return;
    }
    const eased = t * t * (3 - 2 * t);
    const ctx = this.canvas.getContext("2d")!;
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.globalAlpha = 1 - eased;
    ctx.drawImage(morph.from, 0, 0);
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.globalAlpha = 0.9;
    ctx.fillStyle = this.model.theme.lines[0];
    const to = dataPoints(this.model, this.frame, this.mode);
    morph.points.forEach(([x, y], i) => {
      if (!to[i]) return;
      ctx.beginPath();
      ctx.arc(x + (to[i][0] - x) * eased, y + (to[i][1] - y) * eased, 2.6, 0, 2 * Math.PI);
      ctx.fill();
    });
    ctx.globalAlpha = 1;
    this.ask();
  }
}

/** Where each of the p samples is: on the wave, or at the top of the bar of its frequency. */
function dataPoints(model: Model, frame: Frame, mode: Mode): [number, number][] {
  const pane = frame.panes[0];
  const line = model.lines()?.[0];
  if (!pane || !line) return [];
  const p = line.values.length;
  const a = mode === "spectrum" ? amplitude(phasors(line.values)) : null;
  return Array.from(line.values, (v, n) => {
    const [x, y] = a ? [alias(n, p), a[alias(n, p)]] : [n, v];
    const tx = (x - pane.x[0]) / (pane.x[1] - pane.x[0]);
    const ty = Math.max(0, Math.min(1, (y - pane.y[0]) / (pane.y[1] - pane.y[0])));
    return [pane.box.x + tx * pane.box.w, pane.box.y + (1 - ty) * pane.box.h];
  });
}

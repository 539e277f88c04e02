// One view: title, controls, picture, axis strip.
import { batch } from "@preact/signals-core";
import { amplitude, phasors } from "../core/dft";
import { alias } from "../core/modp";
import { paint } from "../draw/canvas";
import type { Frame } from "../draw/list";
import type { Mode } from "../io/spec";
import { tableOf } from "./data";
import { h, Life } from "./dom";
import { KEYS, keys } from "./keys";
import type { Model } from "./model";
import { Player } from "./player";
import { pointer } from "./pointer";
import { readout } from "./readout";
import { acrossAxis, gridAxis, sceneOf } from "./scene";
import { Sound } from "./sound";
import { strip } from "./strip";
import { corner, legend, toolbar, type Tools } from "./toolbar";
import { transport } from "./transport";

export interface CardSetting {
  uid: string;
  reduced: boolean;
  models: Model[];
  cycleTheme: () => void;
  life: Life;
}

function badge(model: Model): HTMLElement {
  const metas = [...new Set(model.spec.lines.map((line) => model.reader.metas[line.t]))];
  const worst = Math.max(...metas.map((m) => m.error));
  const gaps = metas.reduce((n, m) => n + m.nan + m.inf, 0);
  const kept = metas.flatMap((m) => Object.entries(m.kept ?? {}));
  const text = [worst ? `16-bit ±${worst.toExponential(1)}` : "f32", gaps ? `${gaps} NaN or inf` : "", ...kept.map(([dim, [at, size]]) => `only ${dim}=${at} of ${size}`)].filter(Boolean).join(" · ");
  const hint = worst ? "values are kept in 16 bits a row; this is the largest error" : "values are the float32 given";
  return h("span", { class: worst || gaps || kept.length ? "badge loud" : "badge", title: hint }, text);
}

/** The bookmarks given from Python, as buttons. */
function bookmarks(model: Model): HTMLElement | null {
  if (!model.spec.bookmarks.length) return null;
  const buttons = model.spec.bookmarks.map(({ label, state }) => h("button", { type: "button", class: "chip mark", onclick: () => model.restore(state) }, label));
  return h("div", { class: "bookmarks", role: "group", "aria-label": "bookmarks" }, ...buttons);
}

/** One card in the page; returns the way to redraw it. */
export function card(model: Model, holder: HTMLElement, setting: CardSetting): void {
  const { life } = setting;
  const player = new Player(model, setting.reduced);
  const sound = new Sound(model);
  const canvas = h("canvas", { role: "img", tabindex: "-1" });
  const tip = h("div", { class: "tip", hidden: true });
  const notes = h("p", { class: "notes" });
  const live = h("div", { class: "unseen", role: "status", "aria-live": "polite" });
  const plot = h("div", { class: "plot" }, canvas, tip);
  const numbers = h("div", { class: "numbers", tabindex: "0", role: "group", "aria-label": "numbers", hidden: true });
  const root = h("section", { class: "card", tabindex: "0", "aria-label": model.spec.title || model.spec.name });
  let timer = 0;
  const say = (text: string) => {
    clearTimeout(timer);
    timer = window.setTimeout(() => (live.textContent = text), 250);
  };
  const help = helper(root);
  const table = () => showTable(model, numbers);
  const tools: Tools = { model, player, sound, say, holder: root, models: setting.models, table, help: () => help(), cycleTheme: setting.cycleTheme };
  const controls = model.spec.full ? [h("div", { class: "controls" }, transport(life, model, player), strip(life, model, setting.uid))] : [h("div", { class: "controls" }, transport(life, model, player))];
  root.append(header(life, tools), ...[bookmarks(model), toolbar(life, tools), legend(life, model)].filter((el) => el !== null), plot, notes, ...controls, numbers, live);
  holder.append(root);
  const screen = new Screen(model, canvas, plot, notes, setting);
  pointer(life, canvas, model, { frame: () => screen.frame, mute: (k, solo) => mute(model, k, solo), select: (id) => select(model, id) });
  follow(life, model, tip, plot, say);
  const act = keys(model, player, { help, say: () => say(spoken(model)) });
  root.addEventListener("keydown", (event) => {
    const target = event.composedPath()[0] as HTMLElement;
    if (/^(SELECT|TEXTAREA)$/.test(target.tagName) || (target instanceof HTMLInputElement && target.type === "number")) return;
    const pressed = /^(BUTTON|SUMMARY)$/.test(target.tagName) || (target instanceof HTMLInputElement && target.type === "radio");
    if (target instanceof HTMLInputElement && /^(Arrow|Home|End)/.test(event.key)) return;
    if (pressed && event.key === " ") return;
    if (act(event)) {
      event.preventDefault();
      event.stopPropagation();
    }
  });
  life.add(() => (player.stop(), sound.stop(), screen.end(), clearTimeout(timer)));
}

function header(life: Life, tools: Tools): HTMLElement {
  const { model } = tools;
  const caption = h("code", { class: "caption" });
  const message = h("p", { class: "message" });
  life.effect(() => {
    caption.textContent = model.caption();
  });
  life.effect(() => {
    message.textContent = model.message();
  });
  return h("header", {}, h("div", { class: "names" }, h("h2", {}, model.spec.title || model.spec.name), caption), message, badge(model), corner(life, tools));
}

/** The sentence for a screen reader after a step. */
function spoken(model: Model): string {
  const dim = model.active.value;
  const at = model.index[dim].value;
  const place = `${dim} = ${model.label(dim, at)} of ${model.size(dim)}`;
  const message = model.message();
  return dim === model.state.x.value ? readout(model, { kind: "wave", x: at, y: 0 }).join(", ") : [place, message].filter(Boolean).join(", ");
}

function mute(model: Model, k: number, solo: boolean): void {
  if (k < 0) return;
  const { mute: muted } = model.state;
  const half = Math.floor(model.size(model.state.x.value) / 2);
  if (solo) {
    const others = Array.from({ length: half + 1 }, (_, i) => i).filter((i) => i !== k);
    muted.value = muted.value.length === others.length && !muted.value.includes(k) ? [] : others;
  } else muted.value = muted.value.includes(k) ? muted.value.filter((i) => i !== k) : [...muted.value, k].sort((a, b) => a - b);
}

function select(model: Model, id: number): void {
  const dim = gridAxis(model);
  if (!dim) return;
  const other = model.state.mode.value === "multiples" ? acrossAxis(model) : null;
  const at: [string, number][] = other ? [[dim, Math.floor(id / model.size(other))], [other, id % model.size(other)]] : [[dim, id]];
  if (at.every(([one, i]) => model.index[one].value === i)) model.state.mode.value = "wave";
  else batch(() => at.forEach(([one, i]) => model.set(one, i)));
}

function follow(life: Life, model: Model, tip: HTMLElement, plot: HTMLElement, say: (text: string) => void): void {
  const place = { x: 0, y: 0 };
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    [place.x, place.y] = [event.clientX - box.left, event.clientY - box.top];
    move();
  });
  const move = () => {
    const right = place.x > plot.clientWidth / 2;
    tip.style.transform = `translate(${right ? `calc(${place.x - 14}px - 100%)` : `${place.x + 14}px`}, ${Math.max(4, Math.min(plot.clientHeight - tip.offsetHeight - 4, place.y - 20))}px)`;
  };
  life.effect(() => {
    const hover = model.hover.value;
    for (const dim of model.spec.dims) void model.index[dim].value;
    tip.hidden = !hover;
    if (!hover) return;
    const lines = readout(model, hover);
    tip.replaceChildren(...lines.map((line, i) => h(i ? "div" : "strong", {}, line)));
    say(lines.join(", "));
    move();
  });
}

function helper(root: HTMLElement): (open?: boolean) => void {
  let panel: HTMLElement | null = null;
  return (open = panel === null) => {
    panel?.remove();
    panel = null;
    if (!open) return;
    const close = h("button", { type: "button", class: "chip" }, "close");
    const rows = KEYS.map(([key, what]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)));
    panel = h("div", { class: "help", role: "dialog", "aria-label": "keys" }, h("h3", {}, "Keys"), h("dl", {}, ...rows), h("p", {}, "Click a frequency to mute it, shift-click to hear it alone. The wheel scrubs while the view has the focus."), close);
    close.addEventListener("click", () => {
      panel?.remove();
      panel = null;
      root.focus();
    });
    root.append(panel);
    close.focus();
  };
}

const MOST_ROWS = 400;

function showTable(model: Model, holder: HTMLElement): void {
  holder.hidden = !holder.hidden;
  if (holder.hidden) return;
  const { head, rows } = tableOf(model);
  const body = rows.slice(0, MOST_ROWS).map((row) => h("tr", {}, ...row.map((v, i) => h(i ? "td" : "th", i ? {} : { scope: "row" }, typeof v === "number" ? v.toPrecision(6) : v))));
  holder.replaceChildren(h("table", {}, h("caption", {}, model.caption()), h("thead", {}, h("tr", {}, ...head.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, ...body)));
}

const MORPH = 280;
/** Frames nearer than this (in ms) are part of a movement; the finer picture comes when it ends. */
const HURRY = 100;

/** The canvas: redraws once a display frame when anything changed, and morphs between wave and spectrum. */
class Screen {
  frame: Frame = { width: 1, height: 1, items: [], panes: [], notes: [] };
  private request = 0;
  private painted = -HURRY;
  private rest = 0;
  private mode: Mode;
  private morph: { from: HTMLCanvasElement; start: number; points: [number, number][] } | null = null;
  private readonly sizes: ResizeObserver;

  constructor(
    private readonly model: Model,
    private readonly canvas: HTMLCanvasElement,
    private readonly plot: HTMLElement,
    private readonly notes: HTMLElement,
    private readonly setting: CardSetting,
  ) {
    this.mode = model.state.mode.peek();
    this.sizes = new ResizeObserver(() => this.ask());
    this.sizes.observe(plot);
    setting.life.effect(() => {
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
    }
    this.frame = sceneOf(model, width, height);
    const hurried = now - this.painted < HURRY;
    this.painted = now;
    paint(canvas, this.frame, ratio, model.theme.ground, hurried);
    clearTimeout(this.rest);
    if (hurried) this.rest = window.setTimeout(() => this.ask(), HURRY + 40);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const text = this.frame.notes.join("; ");
    if (this.notes.textContent !== text) this.notes.textContent = text;
    canvas.setAttribute("aria-label", [model.caption(), model.message(), text].filter(Boolean).join(". "));
    if (this.morph) this.blend(now, ratio);
  }

  private begin(mode: Mode, now: number): void {
    const pair = [mode, this.mode].sort().join();
    if (this.setting.reduced || pair !== "spectrum,wave" || this.canvas.width < 2) return;
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

export const setAll = (models: Model[], states: Partial<Model["start"]>[]): void => batch(() => states.forEach((state, i) => models[i]?.restore(state)));

// One view: title, controls, picture, axis strip.
import { batch } from "@preact/signals-core";
import { exact } from "../core/scale";
import { tableOf } from "./data";
import { h, Life, Writes, written } from "./dom";
import { KEYS, keys } from "./keys";
import type { Model } from "./model";
import { Player } from "./player";
import { pointer } from "./pointer";
import { printing } from "./printing";
import { readout } from "./readout";
import { acrossAxis, gridAxis } from "./rows";
import { Screen } from "./screen";
import { Sound } from "./sound";
import { strip } from "./strip";
import { corner, legend, toolbar, type Tools } from "./toolbar";

export interface CardSetting {
  reduced: boolean;
  models: Model[];
  cycleTheme: () => void;
  life: Life;
}

const WIDE = "wave spectrum";

function badge(model: Model): HTMLElement {
  const metas = [...new Set(model.spec.lines.map((line) => model.reader.metas[line.t]))];
  const waves = metas.some((m) => m.enc === "waves" || m.enc === "sheared");
  const worst = Math.max(...metas.map((m) => m.error));
  const total = (of: (m: (typeof metas)[number]) => number) => metas.reduce((n, m) => n + of(m), 0);
  const [gaps, masked] = [total((m) => m.nan + m.inf), total((m) => m.masked ?? 0)];
  const kept = metas.flatMap((m) => Object.entries(m.kept ?? {}));
  const lost = [...new Set(metas.flatMap((m) => (m.lost ? [m.lost] : [])))];
  const parts = [worst ? `${waves ? "waves" : "16-bit"} ±${worst.toExponential(1)}` : "f32", ...lost, gaps ? `${gaps} NaN or inf` : "", masked ? `${masked} masked` : "", ...kept.map(([dim, [at, size]]) => `only ${dim}=${at} of ${size}`)];
  const hint = waves ? "pictures are kept as sums of waves; this is the largest error of a value" : worst ? "values are kept in 16 bits a row; this is the largest error" : lost.length ? "the page holds float32" : "values are the float32 given";
  const loud = worst || gaps || masked || kept.length || lost.length;
  return h("span", { class: loud ? "badge loud" : "badge", title: `${hint}; counted over the whole array` }, parts.filter(Boolean).join(" · "));
}

/** The bookmarks given from Python, as buttons. */
function bookmarks(model: Model, say: (text: string) => void): HTMLElement | null {
  if (!model.spec.bookmarks.length) return null;
  const buttons = model.spec.bookmarks.map(({ label, state }) => h("button", { type: "button", class: "chip mark", onclick: () => (model.restore(state), say(label)) }, label));
  return h("div", { class: "bookmarks", role: "group", "aria-label": "bookmarks" }, ...buttons);
}

/** One line for those who see the viewer for the first time; gone when it was used. */
function hint(root: HTMLElement): HTMLElement {
  const coarse = matchMedia("(pointer: coarse)").matches;
  const line = h("p", { class: "hint" }, coarse ? "Drag the picture to play · tap to read · pinch to zoom" : "Space plays · f spectrum · ? keys");
  const done = () => {
    // Its room stays: nothing may move from under the pointer.
    line.classList.add("gone");
    root.removeEventListener("keydown", done);
    root.removeEventListener("pointerdown", done);
  };
  root.addEventListener("keydown", done);
  root.addEventListener("pointerdown", done);
  return line;
}

/** One card in the page. */
export function card(model: Model, holder: HTMLElement, setting: CardSetting): void {
  const { life } = setting;
  const writes = new Writes();
  const player = new Player(model, setting.reduced, writes);
  const sound = new Sound(model);
  const canvas = h("canvas", { role: "img", tabindex: "-1" });
  const tip = h("div", { class: "tip", hidden: true });
  const notes = h("p", { class: "notes" });
  const live = h("div", { class: "unseen", role: "status", "aria-live": "polite" });
  const plot = h("div", { class: "plot" }, canvas, tip);
  const numbers = h("div", { class: "numbers", tabindex: "0", role: "group", "aria-label": "numbers", hidden: true });
  const root = h("section", { class: "card", tabindex: "0", "aria-label": labelOf(model, setting.models) });
  let timer = 0;
  const say = (text: string) => {
    clearTimeout(timer);
    timer = window.setTimeout(() => (live.textContent = text), 250);
  };
  const help = helper(root);
  const tools: Tools = { model, player, writes, sound, say, holder: root, models: setting.models, table: () => showTable(model, numbers), help: () => help(), cycleTheme: setting.cycleTheme };
  const above = [header(life, tools), bookmarks(model, say), toolbar(life, tools), legend(life, model)];
  root.append(...above.filter((el) => el !== null), plot, notes, strip(life, tools), hint(root), numbers, live);
  holder.append(root);
  printing(life, model, root);
  life.effect(() => {
    root.dataset.shape = WIDE.includes(model.state.mode.value) ? "wide" : "tall";
  });
  const screen = new Screen(model, canvas, plot, notes, writes, setting.reduced, (run) => life.effect(run));
  pointer(life, canvas, model, { frame: () => screen.frame, mute: (k, solo) => mute(model, k, solo), select: (id) => select(model, id) });
  follow(life, model, tip, plot, say);
  const act = keys(model, player, { help, say: (text) => say(text ?? spoken(model)), mute: (k, solo) => mute(model, k, solo), frame: () => screen.frame });
  root.addEventListener("keydown", (event) => {
    const target = event.composedPath()[0] as HTMLElement;
    if (/^(SELECT|TEXTAREA)$/.test(target.tagName) || (target instanceof HTMLInputElement && target.type === "number")) return;
    if (target instanceof HTMLInputElement && /^(Arrow|Home|End|Page)/.test(event.key)) return;
    if (/^(BUTTON|SUMMARY)$/.test(target.tagName) && (event.key === " " || event.key === "Enter")) return;
    if (act(event)) {
      event.preventDefault();
      event.stopPropagation();
    }
  });
  life.add(() => (player.stop(), sound.stop(), screen.end(), model.jobs.end(), clearTimeout(timer)));
}

/** Views of one title are told apart by their number. */
function labelOf(model: Model, models: Model[]): string {
  const own = (one: Model) => one.spec.title || one.spec.name;
  const same = models.filter((one) => own(one) === own(model));
  return same.length > 1 ? `${own(model)}, view ${models.indexOf(model) + 1} of ${models.length}` : own(model);
}

function header(life: Life, tools: Tools): HTMLElement {
  const { model } = tools;
  const caption = written(life, tools.writes, h("code", { class: "caption" }), () => model.caption());
  const message = written(life, tools.writes, h("p", { class: "message" }), () => model.message());
  return h("div", { class: "head" }, h("div", { class: "names" }, h("h2", {}, model.spec.title || model.spec.name), caption), message, badge(model), corner(tools));
}

/** The sentence for a screen reader after a step. */
function spoken(model: Model): string {
  const dim = model.active.value;
  if (dim === model.state.x.value) {
    const k = model.frequency.value;
    return readout(model, k !== null && model.state.mode.value === "spectrum" ? { kind: "spectrum", x: k, y: 0 } : { kind: "wave", x: model.index[dim].value, y: 0 }).join(", ");
  }
  const place = `${dim} = ${model.label(dim, model.index[dim].value)} of ${model.size(dim)}`;
  return [place, model.message()].filter(Boolean).join(", ");
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
  const at = (event: PointerEvent) => {
    const box = plot.getBoundingClientRect();
    [place.x, place.y] = [event.clientX - box.left, event.clientY - box.top];
    move();
  };
  plot.addEventListener("pointermove", at);
  plot.addEventListener("pointerdown", at);
  const move = () => {
    const { clientWidth: wide, clientHeight: tall } = plot;
    const x = place.x > wide / 2 ? place.x - 14 - tip.offsetWidth : place.x + 14;
    tip.style.transform = `translate(${Math.max(2, Math.min(wide - tip.offsetWidth - 2, x))}px, ${Math.max(2, Math.min(tall - tip.offsetHeight - 2, place.y - 20))}px)`;
  };
  life.effect(() => {
    const hover = model.hover.value;
    if (tip.hidden !== !hover) tip.hidden = !hover;
    if (!hover) return;
    for (const dim of model.spec.dims) void model.index[dim].value;
    const lines = readout(model, hover);
    tip.replaceChildren(...lines.map((line, i) => h(i ? "div" : "strong", {}, line)));
    say(lines.join(", "));
    move();
  });
}

function helper(root: HTMLElement): (open?: boolean) => void {
  let panel: HTMLElement | null = null;
  const shut = () => {
    if (!panel) return;
    panel.remove();
    panel = null;
    // The button that had the focus is gone with it: the keys go on working.
    root.focus({ preventScroll: true });
  };
  return (open = panel === null) => {
    shut();
    if (!open) return;
    const close = h("button", { type: "button", class: "chip", onclick: shut }, "close");
    const rows = KEYS.map(([key, what]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)));
    const text = "Drag the picture to move what is played; wheel with Ctrl (or pinch) zooms, double click shows all again. Click a frequency to mute it, shift-click to hear it alone. The wheel alone steps while the view has the focus.";
    panel = h("div", { class: "help", role: "dialog", "aria-label": "keys" }, h("h3", {}, "Keys"), h("dl", {}, ...rows), h("p", {}, text), close);
    root.append(panel);
    close.focus();
  };
}

const MOST_ROWS = 400;
const MOST_COLUMNS = 400;

function showTable(model: Model, holder: HTMLElement): void {
  holder.hidden = !holder.hidden;
  if (holder.hidden) return;
  const { head, rows } = tableOf(model);
  const body = rows.slice(0, MOST_ROWS).map((row) => h("tr", {}, ...row.slice(0, MOST_COLUMNS).map((v, i) => h(i ? "td" : "th", i ? {} : { scope: "row" }, typeof v === "number" ? (i ? exact(v) : String(v)) : v))));
  const cut = rows.length > MOST_ROWS || head.length > MOST_COLUMNS ? ` (the first ${Math.min(rows.length, MOST_ROWS)} of ${rows.length} rows, ${Math.min(head.length, MOST_COLUMNS)} of ${head.length} columns; CSV has all)` : "";
  holder.replaceChildren(h("table", {}, h("caption", {}, model.caption() + cut), h("thead", {}, h("tr", {}, ...head.slice(0, MOST_COLUMNS).map((text) => h("th", { scope: "col" }, text || "row")))), h("tbody", {}, ...body)));
  holder.focus();
}

export const setAll = (models: Model[], states: Partial<Model["start"]>[]): void => batch(() => states.forEach((state, i) => models[i]?.restore(state)));

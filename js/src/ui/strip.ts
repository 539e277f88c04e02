// One row an axis: its play button, name, slider and index.
import { mod } from "../core/modp";
import { h, icon, setIcon, written, type Life } from "./dom";
import { losses } from "./losses";
import type { Model } from "./model";
import type { Player } from "./player";
import type { Tools } from "./toolbar";

/** The slider of an axis. */
export function slider(life: Life, { model, writes }: Tools, dim: string): HTMLInputElement {
  const range = h("input", { type: "range", min: "0", max: String(model.size(dim) - 1), step: "1", "aria-label": dim });
  range.addEventListener("input", () => {
    model.active.value = dim;
    model.set(dim, Number(range.value));
  });
  life.effect(() => {
    const at = model.index[dim].value;
    writes.put(range, () => {
      range.value = String(at);
      range.setAttribute("aria-valuetext", `${dim} = ${model.label(dim, at)} of ${model.size(dim)}`);
      range.style.setProperty("--at", `${(100 * at) / Math.max(1, model.size(dim) - 1)}%`);
    });
  });
  return range;
}

const MOST_OPTIONS = 300;

/** Where an index is typed; an axis with words or coordinates has a list of them. */
function indexOf(life: Life, { model, writes }: Tools, dim: string): HTMLElement {
  const set = (to: number) => {
    model.active.value = dim;
    model.set(dim, to);
  };
  const named = model.spec.labels[dim] || model.spec.coords[dim];
  if (named && model.size(dim) <= MOST_OPTIONS) {
    const options = Array.from({ length: model.size(dim) }, (_, i) => h("option", { value: String(i) }, model.label(dim, i)));
    const select = h("select", { class: "index", "aria-label": `index of ${dim}`, onchange: () => set(Number(select.value)) }, ...options);
    life.effect(() => {
      const at = String(model.index[dim].value);
      writes.put(select, () => (select.value = at));
    });
    return select;
  }
  const box = h("input", { class: "index", type: "number", inputmode: "numeric", min: "0", max: String(model.size(dim) - 1), step: "1", "aria-label": `index of ${dim}`, title: `0 to ${model.size(dim) - 1}` });
  box.addEventListener("change", () => {
    set(Number(box.value) || 0);
    box.value = String(model.index[dim].peek());
  });
  life.effect(() => {
    const at = String(model.index[dim].value);
    writes.put(box, () => (box.value = at));
  });
  return box;
}

function playButton(life: Life, model: Model, player: Player, dim: string): HTMLElement {
  const button = h("button", { type: "button", class: "tap play" }, icon("play"));
  button.addEventListener("click", () => {
    if (player.playing.peek() && model.state.play.peek() === dim) return player.stop();
    model.assign("play", dim);
    model.active.value = dim;
    if (!player.playing.peek()) player.toggle(1);
  });
  life.effect(() => {
    const mine = model.state.play.value === dim;
    const on = mine && player.playing.value;
    setIcon(button, on ? "pause" : "play");
    button.setAttribute("aria-pressed", String(on));
    button.classList.toggle("main", mine);
    const hint = on ? `pause ${dim}` : `play ${dim}`;
    button.setAttribute("aria-label", hint);
    button.title = mine ? `${hint} (Space)` : hint;
    // In the picture itself an axis is not played, but along y it is.
    const x = model.state.x.value === dim;
    button.disabled = x;
    button.classList.toggle("none", x);
  });
  return button;
}

function stepper(life: Life, model: Model, dim: string): HTMLElement {
  const step = (by: number, name: string, hint: string) =>
    h("button", { type: "button", class: "tap", tabindex: "-1", "aria-label": `${hint} ${dim}`, title: hint, onclick: () => (model.active.value = dim, model.set(dim, model.isCircle(dim) ? mod(model.index[dim].peek() + by, model.size(dim)) : model.index[dim].peek() + by)) }, icon(name));
  const pair = h("span", { class: "steps" }, step(-1, "back", "step back"), step(1, "forward", "step forward"));
  life.effect(() => {
    pair.hidden = model.state.play.value !== dim;
  });
  return pair;
}

function row(life: Life, tools: Tools, dim: string): HTMLElement {
  const { model, player, writes } = tools;
  const name = h("span", { class: "dim", draggable: "true", title: `${dim}, ${model.size(dim)} long; drag onto another axis to swap them` }, dim);
  const picture = () => ["heatmap", "spectrum2d"].includes(model.state.mode.value);
  const role = written(life, writes, h("span", { class: "role" }), () => (model.state.x.value === dim ? "→ drawn" : picture() && model.state.y.value === dim ? "↓ drawn" : ""));
  const line = h("div", { class: "axis" }, playButton(life, model, player, dim), h("span", { class: "called" }, name, role), slider(life, tools, dim), stepper(life, model, dim), indexOf(life, tools, dim));
  life.effect(() => {
    line.classList.toggle("active", model.active.value === dim);
  });
  line.addEventListener("pointerdown", () => (model.active.value = dim));
  name.addEventListener("dragstart", (event) => event.dataTransfer?.setData("text/plain", `axis:${dim}`));
  line.addEventListener("dragover", (event) => event.preventDefault());
  line.addEventListener("drop", (event) => {
    const other = event.dataTransfer?.getData("text/plain").replace(/^axis:/, "") ?? "";
    if (model.spec.dims.includes(other)) swap(model, other, dim);
    event.preventDefault();
  });
  return line;
}

/** Gives two axes each other's role. */
export function swap(model: Model, one: string, other: string): void {
  const { x, play } = model.state;
  if (x.value === one || x.value === other) model.assign("x", x.value === one ? other : one);
  else if (play.value === one || play.value === other) model.assign("play", play.value === one ? other : one);
}

export function strip(life: Life, tools: Tools): HTMLElement {
  const { model } = tools;
  const dims = model.spec.full ? model.spec.dims : model.spec.dims.filter((dim) => dim === model.start.play);
  const rows = dims.flatMap((dim) => [row(life, tools, dim), model.spec.losses?.axis === dim ? h("div", { class: "axis" }, losses(life, model, dim)) : null]);
  return h("div", { class: "strip", role: "group", "aria-label": "axes" }, ...rows);
}

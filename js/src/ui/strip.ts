// One row an axis: name, role, index, slider.
import { h, type Life } from "./dom";
import type { Model } from "./model";

type Role = "x" | "play" | "y" | "grid";

const ROLES: Record<Role, { text: string; hint: string }> = {
  x: { text: "x", hint: "drawn along x" },
  y: { text: "y", hint: "drawn along y" },
  play: { text: "▶", hint: "moved by Play" },
  grid: { text: "▦", hint: "one small plot each" },
};

/** The slider of an axis; `name` tells two sliders of one axis apart for a screen reader. */
export function slider(life: Life, model: Model, axis: () => string | null, name: string): HTMLInputElement {
  const range = h("input", { type: "range", min: "0", step: "1", "aria-label": name });
  range.addEventListener("input", () => {
    const dim = axis();
    if (!dim) return;
    model.active.value = dim;
    model.set(dim, Number(range.value));
  });
  life.effect(() => {
    const dim = axis();
    range.disabled = !dim;
    if (!dim) return;
    range.max = String(model.size(dim) - 1);
    range.value = String(model.index[dim].value);
    range.setAttribute("aria-valuetext", `${dim} = ${model.label(dim, model.index[dim].value)} of ${model.size(dim)}`);
    range.style.setProperty("--at", `${(100 * model.index[dim].value) / Math.max(1, model.size(dim) - 1)}%`);
  });
  return range;
}

function indexBox(life: Life, model: Model, dim: string): HTMLInputElement {
  const box = h("input", { type: "number", min: "0", max: String(model.size(dim) - 1), step: "1", "aria-label": `index of ${dim}` });
  box.addEventListener("change", () => {
    model.active.value = dim;
    model.set(dim, Number(box.value) || 0);
    box.value = String(model.index[dim].peek());
  });
  life.effect(() => {
    box.value = String(model.index[dim].value);
  });
  return box;
}

function roles(life: Life, model: Model, dim: string, uid: string): HTMLElement {
  const group = h("span", { class: "roles", role: "group", "aria-label": `role of ${dim}` });
  const add = (role: Role, visible: () => boolean) => {
    const input = h("input", { type: "radio", name: `${uid}-${role}`, "aria-label": `${dim} ${ROLES[role].hint}` });
    input.addEventListener("change", () => model.assign(role, dim));
    const label = h("label", { class: "role", title: `${dim}: ${ROLES[role].hint}` }, input, h("span", { "aria-hidden": "true" }, ROLES[role].text));
    life.effect(() => {
      input.checked = model.state[role].value === dim;
      label.hidden = !visible();
    });
    group.append(label);
  };
  const mode = () => model.state.mode.value;
  add("x", () => true);
  add("play", () => true);
  add("y", () => ["heatmap", "spectrum2d", "multiples"].includes(mode()));
  add("grid", () => ["multiples", "ridge"].includes(mode()));
  return group;
}

function row(life: Life, model: Model, dim: string, uid: string): HTMLElement {
  const name = h("span", { class: "dim", draggable: "true", title: `drag onto another axis to swap them: ${dim}` }, dim);
  const value = h("span", { class: "value" });
  const line = h("div", { class: "axis" }, name, h("span", { class: "size" }, `${model.size(dim)}`), roles(life, model, dim, uid), indexBox(life, model, dim), slider(life, model, () => dim, dim), value);
  life.effect(() => {
    line.classList.toggle("active", model.active.value === dim);
    const text = model.label(dim, model.index[dim].value);
    value.textContent = text === String(model.index[dim].value) ? "" : text;
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

export function strip(life: Life, model: Model, uid: string): HTMLElement {
  return h("div", { class: "strip", role: "group", "aria-label": "axes" }, ...model.spec.dims.map((dim) => row(life, model, dim, uid)));
}

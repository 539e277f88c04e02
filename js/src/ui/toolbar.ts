// Modes and the options that a mode has.
import { choose, h, icon, toggle, type Life } from "./dom";
import { callOf, copy, linkOf, saveCsv, saveNpy, savePng, saveSvg, saveWebm } from "./exports";
import { csv, tableOf } from "./data";
import type { Model } from "./model";
import type { Player } from "./player";
import type { Sound } from "./sound";
import type { Mode } from "../io/spec";

export const MODES: { value: Mode; text: string; hint: string; rank: number }[] = [
  { value: "wave", text: "Wave", hint: "the wave over x (f)", rank: 1 },
  { value: "spectrum", text: "Spectrum", hint: "its spectrum (f)", rank: 1 },
  { value: "both", text: "Both", hint: "wave above, spectrum below", rank: 1 },
  { value: "heatmap", text: "Heat map", hint: "two axes as a picture (h)", rank: 2 },
  { value: "spectrum2d", text: "2-D spectrum", hint: "two-dimensional spectrum of the picture", rank: 2 },
  { value: "multiples", text: "Multiples", hint: "one small plot for each index of an axis", rank: 2 },
  { value: "ridge", text: "Ridge", hint: "all lines of an axis, stacked", rank: 2 },
];

export interface Tools {
  model: Model;
  player: Player;
  sound: Sound;
  say: (text: string) => void;
  holder: HTMLElement;
  models: Model[];
  table: () => void;
  help: () => void;
  cycleTheme: () => void;
}

function modes(life: Life, model: Model): HTMLElement {
  const known = MODES.filter((mode) => mode.rank <= model.spec.dims.length);
  const buttons = known.map((mode) => {
    const button = h("button", { type: "button", title: mode.hint, onclick: () => (model.state.mode.value = mode.value) }, mode.text);
    life.effect(() => button.setAttribute("aria-pressed", String(model.state.mode.value === mode.value)));
    return button;
  });
  return h("div", { class: "segments", role: "group", "aria-label": "mode" }, ...buttons);
}

/** Shows an element in some modes only. */
function within(life: Life, model: Model, modes: Mode[], el: HTMLElement, also: () => boolean = () => true): HTMLElement {
  life.effect(() => {
    el.hidden = !modes.includes(model.state.mode.value) || !also();
  });
  return el;
}

const LINES: Mode[] = ["wave", "both"];
const SPECTRA: Mode[] = ["spectrum", "both"];

function options(life: Life, { model, sound }: Tools): HTMLElement[] {
  const s = model.state;
  const flag = (key: "fold" | "centre" | "trail" | "symmetry" | "sticks" | "robust" | "cyclic", text: string, hint: string) => toggle(life, text, hint, () => s[key].value, (on) => (s[key].value = on));
  const symmetric = () => model.axes().length > 0;
  const pins = toggle(life, "pin", "pin this slice as a ghost", () => model.pins.value.length > 0, (on) => (model.pins.value = on ? (model.lines() ?? []).map((l) => ({ ...l, values: l.values.slice() })) : []));
  const clear = h("button", { type: "button", class: "chip", title: "hear all frequencies again", onclick: () => (s.mute.value = []) }, "unmute all");
  return [
    within(life, model, LINES, choose(life, "joins", [{ value: "curve", text: "band-limited" }, { value: "joins", text: "straight" }, { value: "dots", text: "dots" }], () => s.style.value, (v) => (s.style.value = v))),
    within(life, model, [...SPECTRA, "spectrum2d"], choose(life, "quantity", [{ value: "amplitude", text: "amplitude" }, { value: "power", text: "power" }, { value: "db", text: "power in dB" }, { value: "phase", text: "phase" }, { value: "cossin", text: "cos and sin" }, { value: "share", text: "share of energy" }], () => s.quantity.value, (v) => (s.quantity.value = v))),
    within(life, model, ["wave", "spectrum", "both", "heatmap", "multiples", "ridge"], choose(life, "scale over", [{ value: "span", text: "scale: same span" }, { value: "axis", text: "scale: play axis" }, { value: "slice", text: "scale: this slice" }, { value: "all", text: "scale: all" }], () => s.scope.value, (v) => (s.scope.value = v))),
    within(life, model, ["multiples", "ridge"], choose(life, "order of rows", [{ value: "index", text: "in order" }, { value: "peak", text: "by peak frequency" }, { value: "phase", text: "by phase" }, { value: "share", text: "by share" }, { value: "size", text: "by size" }], () => s.sort.value, (v) => (s.sort.value = v))),
    within(life, model, LINES, flag("symmetry", "axes", "symmetry axes at c/2 and c/2 + p/2"), symmetric),
    within(life, model, LINES, flag("fold", "fold", "mirror about c/2, even and odd parts (s)"), symmetric),
    within(life, model, LINES, flag("centre", "recentre", "keep c/2 in the middle"), symmetric),
    within(life, model, LINES, flag("trail", "trail", "leave the last three slices behind")),
    within(life, model, LINES, pins),
    within(life, model, SPECTRA, flag("sticks", "harmonics", "sticks at key frequencies and what they give rise to"), () => model.spec.keys.length > 0),
    within(life, model, ["heatmap"], flag("cyclic", "cyclic", "colours that close, for angles in radians")),
    within(life, model, ["heatmap"], flag("robust", "robust", "colours over the mean and three standard deviations")),
    within(life, model, [...LINES, ...SPECTRA], clear, () => s.mute.value.length > 0),
    within(life, model, [...LINES, "spectrum"], toggle(life, icon("sound"), "listen to the wave", () => sound.on.value, () => sound.toggle())),
  ];
}

function compare(life: Life, model: Model): HTMLElement | null {
  if (model.spec.lines.length < 2) return null;
  const choices = ["overlay", "A", "B", "A-B", "A/B", "flicker", "wipe"] as const;
  const texts = { overlay: "all lines", A: "only A", B: "only B", "A-B": "A − B", "A/B": "A / B", flicker: "flicker (b)", wipe: "wipe" };
  return choose(life, "compare", choices.map((value) => ({ value, text: texts[value] })), () => model.state.compare.value, (v) => (model.state.compare.value = v));
}

/** Click hides or shows a line; a double click or shift-click shows it alone. */
export function legend(life: Life, model: Model): HTMLElement | null {
  const { lines } = model.spec;
  if (lines.length < 2) return null;
  const chips = lines.map((line, id) => {
    const swatch = h("i", { class: "swatch", "aria-hidden": "true" });
    const chip = h("button", { type: "button", class: "chip", title: `${line.name}: click to hide, shift-click for this one alone` }, swatch, line.name);
    chip.addEventListener("click", (event) => {
      const { hide } = model.state;
      const others = lines.map((_, i) => i).filter((i) => i !== id);
      if ((event as MouseEvent).shiftKey) hide.value = hide.value.length === others.length && !hide.value.includes(id) ? [] : others;
      else hide.value = hide.value.includes(id) ? hide.value.filter((i) => i !== id) : [...hide.value, id];
    });
    life.effect(() => {
      chip.setAttribute("aria-pressed", String(!model.state.hide.value.includes(id)));
      swatch.style.background = model.theme.lines[id % model.theme.lines.length];
    });
    return chip;
  });
  return h("div", { class: "legend", role: "group", "aria-label": "lines" }, ...chips);
}

function saving(tools: Tools): HTMLElement {
  const { model, player, say, holder, models } = tools;
  const items: [string, () => void][] = [
    ["PNG", () => savePng(model, 1)],
    ["PNG, twice the size", () => savePng(model, 2)],
    ["PNG, four times", () => savePng(model, 4)],
    ["SVG", () => saveSvg(model)],
    ["CSV of what is drawn", () => saveCsv(model)],
    ["NPY of the slice", () => saveNpy(model)],
    ["WebM of one cycle", () => void saveWebm(model, player, say)],
    ["copy the values", () => void copy(csv(tableOf(model)), holder, say)],
    ["copy as Python", () => void copy(callOf(model), holder, say)],
    ...(location.protocol === "about:" ? [] : [["copy link", () => void copy(linkOf(models), holder, say)] as [string, () => void]]),
    ["table of the numbers", () => tools.table()],
  ];
  const list = h("div", { class: "menu", role: "group", "aria-label": "save and copy" });
  const box = h("details", { class: "save" }, h("summary", { class: "chip", title: "save and copy", "aria-label": "save and copy" }, icon("save")), list);
  for (const [text, run] of items) {
    list.append(h("button", { type: "button", onclick: () => ((box.open = false), run()) }, text));
  }
  box.addEventListener("focusout", (event) => {
    const next = (event as FocusEvent).relatedTarget as Node | null;
    if (next && !box.contains(next)) box.open = false;
  });
  return box;
}

export function toolbar(life: Life, tools: Tools): HTMLElement {
  return h("div", { class: "toolbar" }, modes(life, tools.model), h("div", { class: "options" }, ...options(life, tools), compare(life, tools.model)));
}

export function corner(_life: Life, tools: Tools): HTMLElement {
  return h(
    "div",
    { class: "corner" },
    h("button", { type: "button", class: "chip", title: "light or dark", "aria-label": "light or dark", onclick: tools.cycleTheme }, icon("theme")),
    saving(tools),
    h("button", { type: "button", class: "chip", title: "keys (?)", "aria-label": "keys", onclick: tools.help }, "?"),
  );
}

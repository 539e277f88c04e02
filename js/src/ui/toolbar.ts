// Modes, the few options that a mode needs in view, and the rest behind "more".
import { choose, h, icon, toggle, type Choice, type Life, type Writes } from "./dom";
import { callOf, copy, linkOf, saveCsv, saveNpy, savePng, saveSvg, saveWebm } from "./exports";
import { csv, tableOf } from "./data";
import type { Model } from "./model";
import { loops, second, speeds } from "./pace";
import type { Player } from "./player";
import type { Sound } from "./sound";
import type { Mode, State } from "../io/spec";

export const MODES: { value: Mode; text: string; hint: string; rank: number }[] = [
  { value: "wave", text: "Wave", hint: "the numbers along one axis (f)", rank: 1 },
  { value: "spectrum", text: "Spectrum", hint: "which frequencies are in it (f)", rank: 1 },
  { value: "both", text: "Both", hint: "wave above, spectrum below", rank: 1 },
  { value: "heatmap", text: "Heat map", hint: "two axes as a picture (h)", rank: 2 },
  { value: "spectrum2d", text: "2-D spectrum", hint: "the frequencies of that picture", rank: 2 },
  { value: "multiples", text: "Multiples", hint: "one small plot for each index of an axis", rank: 2 },
  { value: "ridge", text: "Ridge", hint: "all lines of an axis, one above the other", rank: 2 },
];

export interface Tools {
  model: Model;
  player: Player;
  writes: Writes;
  sound: Sound;
  say: (text: string) => void;
  holder: HTMLElement;
  models: Model[];
  table: () => void;
  help: () => void;
  cycleTheme: () => void;
}

/** A row of buttons with one tab stop; arrows go from one to the next. A list where the card is narrow. */
function modes(life: Life, { model, say, holder }: Tools): HTMLElement {
  const known = MODES.filter((mode) => mode.rank <= model.spec.dims.length);
  const choose_ = (mode: Mode, text: string) => {
    model.state.mode.value = mode;
    say(text);
  };
  const buttons = known.map((mode) => {
    const button = h("button", { type: "button", title: mode.hint }, mode.text);
    button.addEventListener("click", (event) => {
      choose_(mode.value, mode.text);
      // After the mouse the arrows belong to the picture.
      if ((event as MouseEvent).detail) holder.focus({ preventScroll: true });
    });
    life.effect(() => {
      const on = model.state.mode.value === mode.value;
      button.setAttribute("aria-pressed", String(on));
      button.tabIndex = on ? 0 : -1;
    });
    return button;
  });
  const bar = h("div", { class: "segments", role: "toolbar", "aria-label": "mode" }, ...buttons);
  bar.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const at = buttons.indexOf((event.composedPath()[0] as HTMLElement).closest("button")!);
    const next = (at + by + buttons.length) % buttons.length;
    buttons[next].focus();
    choose_(known[next].value, known[next].text);
    event.preventDefault();
    event.stopPropagation();
  });
  const list = choose(life, "mode", known.map(({ value, text }) => ({ value, text })), () => model.state.mode.value, (mode) => choose_(mode, known.find((one) => one.value === mode)!.text));
  list.classList.add("narrow");
  return h("div", { class: "modes" }, bar, list);
}

/** Shows an element in some modes only. */
function within<T extends HTMLElement | null>(life: Life, model: Model, modes: Mode[], el: T, also: () => boolean = () => true): T {
  if (el) {
    life.effect(() => {
      el.hidden = !modes.includes(model.state.mode.value) || !also();
    });
  }
  return el;
}

const LINES: Mode[] = ["wave", "both"];
const SPECTRA: Mode[] = ["spectrum", "both"];
const PICTURES: Mode[] = ["heatmap", "spectrum2d"];
const ROWS: Mode[] = ["multiples", "ridge"];
const EVERY: Mode[] = [...LINES, "spectrum", ...PICTURES, ...ROWS];

type Flags = { [K in keyof State]: State[K] extends boolean ? K : never }[keyof State];
type Words = { [K in keyof State]: State[K] extends string ? K : never }[keyof State];

function makers(life: Life, model: Model) {
  const s = model.state;
  const flag = (key: Flags, text: string, hint: string) => toggle(life, text, hint, () => s[key].value, (on) => (s[key].value = on));
  const list = <K extends Words>(key: K, label: string, choices: Choice<State[K] & string>[]) =>
    choose(life, label, choices, () => s[key].value as State[K] & string, (v) => ((s[key] as { value: string }).value = v), true);
  const axis = (role: "x" | "y" | "grid", label: string) => {
    const choices = model.spec.dims.map((dim) => ({ value: dim, text: dim }));
    return choose(life, label, choices, () => s[role].value ?? "", (dim) => model.assign(role, dim), true);
  };
  return { flag, list, axis };
}

const TEXTS = {
  quantity: [
    { value: "amplitude", text: "amplitude" },
    { value: "power", text: "power" },
    { value: "db", text: "power in dB" },
    { value: "phase", text: "phase" },
    { value: "cossin", text: "cos and sin" },
    { value: "share", text: "share of energy" },
  ],
  scope: [
    { value: "span", text: "same for every step, centred" },
    { value: "axis", text: "same for every step" },
    { value: "slice", text: "fits this step" },
    { value: "all", text: "same everywhere" },
  ],
  sort: [
    { value: "index", text: "as they are" },
    { value: "peak", text: "strongest frequency" },
    { value: "phase", text: "phase" },
    { value: "share", text: "share of energy" },
    { value: "size", text: "size" },
  ],
  style: [
    { value: "auto", text: "as fits the data" },
    { value: "curve", text: "smooth (band-limited)" },
    { value: "joins", text: "straight" },
    { value: "dots", text: "dots only" },
  ],
  kind: [
    { value: "linear", text: "linear" },
    { value: "log", text: "logarithmic" },
    { value: "symlog", text: "logarithmic, both signs" },
  ],
  colours: [
    { value: "auto", text: "by sign" },
    { value: "sequential", text: "one sign" },
    { value: "diverging", text: "two signs" },
    { value: "cyclic", text: "angles" },
    { value: "grey", text: "grey" },
  ],
} as const;

/** What a mode needs in view. */
function main(life: Life, { model }: Tools): (HTMLElement | null)[] {
  const { flag, list, axis } = makers(life, model);
  const symmetric = () => model.axes().length > 0;
  const clear = h("button", { type: "button", class: "chip", title: "hear all frequencies again", onclick: () => (model.state.mute.value = []) }, "unmute all");
  const whole = h("button", { type: "button", class: "chip", title: "the whole picture again (double click)", onclick: () => (model.windows.value = {}) }, "zoom out");
  const several = model.spec.dims.length > 1;
  return [
    several && model.spec.full ? within(life, model, EVERY, axis("x", "along x")) : null,
    several && model.spec.full ? within(life, model, PICTURES, axis("y", "down")) : null,
    several ? within(life, model, ROWS, axis("grid", "one each")) : null,
    within(life, model, [...SPECTRA, "spectrum2d"], list("quantity", "show", [...TEXTS.quantity])),
    within(life, model, ROWS, list("sort", "order", [...TEXTS.sort])),
    within(life, model, LINES, flag("fold", "mirror", "the wave mirrored about c/2, its even and odd parts (s)"), symmetric),
    within(life, model, ["heatmap"], list("colours", "colours", [...TEXTS.colours])),
    compare(life, model),
    within(life, model, [...LINES, ...SPECTRA], clear, () => model.state.mute.value.length > 0),
    within(life, model, EVERY, whole, () => Object.keys(model.windows.value).length > 0),
  ];
}

/** The rest. */
function rest(life: Life, tools: Tools): (HTMLElement | null)[] {
  const { model, player, sound } = tools;
  const { flag, list } = makers(life, model);
  const symmetric = () => model.axes().length > 0;
  const pin = toggle(life, "pin", "keep this slice in the picture", () => model.pins.value.length > 0, (on) => (model.pins.value = on ? (model.lines() ?? []).map((l) => ({ ...l, values: l.values.slice() })) : []));
  const circle = () => model.isCircle(model.state.x.value);
  const coords = () => model.coordinates(model.state.x.value) !== null;
  const apart = choose(life, "lines apart", [{ value: "0", text: "no" }, { value: "0.25", text: "a little" }, { value: "1", text: "stacked" }], () => String([0, 0.25, 1].find((v) => v >= model.state.offset.value) ?? 1), (v) => (model.state.offset.value = Number(v)), true);
  return [
    speeds(life, model, player),
    loops(life, model),
    second(life, model),
    within(life, model, EVERY.filter((mode) => mode !== "spectrum2d"), list("scope", "height", [...TEXTS.scope])),
    within(life, model, [...LINES, ...SPECTRA, "heatmap"], list("yscale", "values", [...TEXTS.kind])),
    within(life, model, LINES, list("xscale", "along x", [...TEXTS.kind]), coords),
    within(life, model, LINES, list("style", "joined", [...TEXTS.style]), circle),
    model.spec.lines.length > 1 ? within(life, model, LINES, apart) : null,
    within(life, model, LINES, flag("symmetry", "mirror lines", "lines at c/2 and c/2 + p/2"), symmetric),
    within(life, model, LINES, flag("centre", "centre c/2", "keep c/2 in the middle"), symmetric),
    within(life, model, LINES, flag("trail", "trail", "leave the last three slices behind")),
    within(life, model, LINES, pin),
    within(life, model, SPECTRA, flag("sticks", "harmonics", "marks at key frequencies and what they give rise to"), () => model.keys.length > 0),
    within(life, model, ["heatmap"], flag("robust", "clip outliers", "colours over the mean and three standard deviations")),
    within(life, model, [...LINES, "spectrum"], toggle(life, "listen", "the wave as a sound", () => sound.on.value, () => sound.toggle())),
    h("button", { type: "button", class: "chip", title: "light or dark", "aria-label": "light or dark", onclick: tools.cycleTheme }, icon("theme")),
  ];
}

function compare(life: Life, model: Model): HTMLElement | null {
  if (model.spec.lines.length < 2) return null;
  const choices = ["overlay", "A", "B", "A-B", "A/B", "flicker", "wipe"] as const;
  const texts = { overlay: "all lines", A: "only A", B: "only B", "A-B": "A − B", "A/B": "A / B", flicker: "flicker (b)", wipe: "wipe" };
  return choose(life, "compare", choices.map((value) => ({ value, text: texts[value] })), () => model.state.compare.value, (v) => (model.state.compare.value = v), true);
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
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !box.open) return;
    box.open = false;
    box.querySelector("summary")!.focus();
    event.stopPropagation();
  });
  return box;
}

export function toolbar(life: Life, tools: Tools): HTMLElement {
  const panel = h("div", { class: "panel", role: "group", "aria-label": "more options", hidden: true }, ...rest(life, tools));
  const more = h("button", { type: "button", class: "chip", "aria-expanded": "false", onclick: () => more.setAttribute("aria-expanded", String((panel.hidden = !panel.hidden) === false)) }, "more");
  return h("div", { class: "toolbar" }, modes(life, tools), h("div", { class: "options" }, ...main(life, tools), more), panel);
}

export function corner(tools: Tools): HTMLElement {
  return h("div", { class: "corner" }, saving(tools), h("button", { type: "button", class: "chip", title: "keys (?)", "aria-label": "keys", onclick: tools.help }, "?"));
}

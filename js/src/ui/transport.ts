// First, back, play, forward, last; loop; seconds a cycle; a second axis.
import { choose, h, icon, setIcon, type Life } from "./dom";
import type { Model } from "./model";
import type { Player } from "./player";
import { slider } from "./strip";
import type { Loop, Walk } from "../core/walk";

const SPEEDS = [1, 2, 3, 5, 10, 20, 30, 60];

export function transport(life: Life, model: Model, player: Player): HTMLElement {
  const button = (name: string, hint: string, run: () => void) => h("button", { type: "button", class: "tap", title: hint, "aria-label": hint, onclick: run }, icon(name));
  const end = (last: boolean) => {
    const dim = model.state.play.value;
    if (dim) model.set(dim, last ? model.size(dim) - 1 : 0);
  };
  const play = button("play", "play (Space)", () => player.toggle(1));
  const reverse = button("reverse", "play backwards", () => player.toggle(-1));
  play.classList.add("main");
  life.effect(() => {
    const on = player.playing.value;
    setIcon(play, on && player.direction.value > 0 ? "pause" : "play");
    setIcon(reverse, on && player.direction.value < 0 ? "pause" : "reverse");
    play.setAttribute("aria-pressed", String(on));
  });
  const rate = h("span", { class: "rate" });
  life.effect(() => {
    const steps = player.stepsPerSecond;
    rate.textContent = player.rate.value || `${steps >= 10 ? Math.round(steps) : steps.toFixed(1)} steps/s`;
  });
  const where = h("span", { class: "where" });
  life.effect(() => {
    const dim = model.state.play.value;
    where.textContent = dim ? `${dim} = ${model.label(dim, model.index[dim].value)}` : "";
  });
  const ruler = slider(life, model, () => model.state.play.value, "play position");
  ruler.classList.add("ruler");
  return h(
    "div",
    { class: "transport" },
    h("div", { class: "buttons", role: "group", "aria-label": "playing" },
      button("first", "first", () => end(false)),
      reverse,
      button("back", "step back (left arrow)", () => player.step(-1)),
      play,
      button("forward", "step forward (right arrow)", () => player.step(1)),
      button("last", "last", () => end(true)),
    ),
    ruler,
    where,
    h("div", { class: "pace" }, loops(life, model), speeds(life, model, player), second(life, model), rate),
  );
}

function loops(life: Life, model: Model): HTMLElement {
  const choices: { value: Loop; text: string }[] = [
    { value: "loop", text: "loop" },
    { value: "bounce", text: "bounce" },
    { value: "once", text: "once" },
  ];
  return choose(life, "at the end", choices, () => model.state.loop.value, (v) => (model.state.loop.value = v));
}

function speeds(life: Life, model: Model, player: Player): HTMLElement {
  const list = [...new Set([...SPEEDS, model.state.seconds.peek()])].sort((a, b) => a - b);
  const choices = list.map((s) => ({ value: String(s), text: `${s} s/cycle` }));
  return choose(life, "seconds per cycle", choices, () => nearest(list, model.state.seconds.value), (v) => {
    player.ask();
    model.state.seconds.value = Number(v);
  });
}

const nearest = (list: number[], v: number): string => String(list.reduce((best, s) => (Math.abs(s - v) < Math.abs(best - v) ? s : best)));

/** Play a second axis along: it steps when the first wraps (odometer) or each time (diagonal). */
function second(life: Life, model: Model): HTMLElement | null {
  if (model.spec.dims.length < 2) return null;
  const choices = [
    { value: "", text: "one axis" },
    ...model.spec.dims.flatMap((dim) => [
      { value: `odometer ${dim}`, text: `then ${dim} (odometer)` },
      { value: `diagonal ${dim}`, text: `with ${dim} (diagonal)` },
    ]),
  ];
  const get = () => (model.state.with.value ? `${model.state.walk.value} ${model.state.with.value}` : "");
  return choose(life, "play a second axis", choices, get, (v) => {
    const [walk, dim] = v.split(" ");
    model.state.with.value = dim && dim !== model.state.play.value ? dim : null;
    model.state.walk.value = (dim ? walk : "single") as Walk;
  });
}

/** The next faster or slower of the usual speeds. */
export function pace(model: Model, faster: boolean): void {
  const now = model.state.seconds.value;
  const next = faster ? [...SPEEDS].reverse().find((s) => s < now) : SPEEDS.find((s) => s > now);
  if (next) model.state.seconds.value = next;
}

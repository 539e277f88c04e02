// How playing goes: seconds a cycle, what happens at the end, a second axis.
import type { Loop, Walk } from "../core/walk";
import { choose, h, type Life } from "./dom";
import type { Model } from "./model";
import type { Player } from "./player";

const SPEEDS = [1, 2, 3, 5, 10, 20, 30, 60];

/** The next faster or slower of the usual speeds. */
export function pace(model: Model, faster: boolean): void {
  const now = model.state.seconds.value;
  const next = faster ? [...SPEEDS].reverse().find((s) => s < now) : SPEEDS.find((s) => s > now);
  if (next) model.state.seconds.value = next;
}

export function loops(life: Life, model: Model): HTMLElement {
  const choices: { value: Loop; text: string }[] = [
    { value: "loop", text: "start again" },
    { value: "bounce", text: "turn back" },
    { value: "once", text: "stop" },
  ];
  return choose(life, "at the end", choices, () => model.state.loop.value, (v) => (model.state.loop.value = v), true);
}

export function speeds(life: Life, model: Model, player: Player): HTMLElement {
  const list = [...new Set([...SPEEDS, model.state.seconds.peek()])].sort((a, b) => a - b);
  const choices = list.map((s) => ({ value: String(s), text: `${s} s` }));
  const select = choose(life, "seconds per cycle", choices, () => nearest(list, model.state.seconds.value), (v) => {
    player.ask();
    model.state.seconds.value = Number(v);
  }, true);
  const rate = h("span", { class: "rate" });
  life.effect(() => {
    const steps = player.stepsPerSecond;
    rate.textContent = player.rate.value || `${steps >= 10 ? Math.round(steps) : steps.toFixed(1)} steps/s`;
  });
  return h("span", { class: "pair" }, select, rate);
}

const nearest = (list: number[], v: number): string => String(list.reduce((best, s) => (Math.abs(s - v) < Math.abs(best - v) ? s : best)));

/** Play a second axis along: it steps when the first starts again, or each time. */
export function second(life: Life, model: Model): HTMLElement | null {
  if (model.spec.dims.length < 2) return null;
  const choices = [
    { value: "", text: "no other axis" },
    ...model.spec.dims.flatMap((dim) => [
      { value: `odometer ${dim}`, text: `${dim} after each cycle` },
      { value: `diagonal ${dim}`, text: `${dim} at each step` },
    ]),
  ];
  const get = () => (model.state.with.value ? `${model.state.walk.value} ${model.state.with.value}` : "");
  return choose(life, "play along", choices, get, (v) => {
    const [walk, dim] = v.split(" ");
    model.state.with.value = dim && dim !== model.state.play.value ? dim : null;
    model.state.walk.value = (dim ? walk : "single") as Walk;
  }, true);
}

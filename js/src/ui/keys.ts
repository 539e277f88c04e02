// The keyboard, for the view that has the focus only.
import type { Frame } from "../draw/list";
import { MODES } from "./toolbar";
import type { Model } from "./model";
import { clamp } from "./model";
import { pace } from "./pace";
import type { Player } from "./player";
import { zoomable, zoomed } from "./zoom";

export const KEYS: [string, string][] = [
  ["← →", "one step along the chosen axis (with Shift: 10); along x they read the picture"],
  ["↑ ↓", "choose the axis"],
  ["Home End", "first, last"],
  ["Space", "play or pause"],
  ["f", "wave or spectrum"],
  ["k", "read the frequencies with ← →"],
  ["m", "mute that frequency (with Shift: hear it alone)"],
  ["h", "heat map"],
  ["s", "mirror about c/2: mirrored, even, odd"],
  ["b", "flicker between A and B"],
  ["z", "zoom in (with Shift: out)"],
  ["x, then a digit", "draw that axis along x"],
  ["+ −", "faster, slower"],
  ["0", "back to the start"],
  ["?", "this list"],
  ["Esc", "stop, close"],
];

export interface Acts {
  help: (open?: boolean) => void;
  /** Says a text, or where the active axis stands. */
  say: (text?: string) => void;
  mute: (k: number, solo: boolean) => void;
  frame: () => Frame;
}

class Keyboard {
  private awaiting = false;

  constructor(
    private readonly model: Model,
    private readonly player: Player,
    private readonly acts: Acts,
  ) {}

  /** The axis drawn along x stands for frequencies where a spectrum is drawn. */
  private get readsFrequencies(): boolean {
    const { mode, x } = this.model.state;
    return mode.value === "spectrum" && this.model.active.value === x.value;
  }

  private step(by: number): void {
    const { model } = this;
    const dim = model.active.value;
    if (this.readsFrequencies) {
      const half = Math.floor(model.size(dim) / 2) + 1;
      model.frequency.value = clamp((model.frequency.value ?? -1) + by, half);
    } else if (dim === model.state.play.value && Math.abs(by) === 1) this.player.step(by as 1 | -1);
    else model.set(dim, clamp(model.index[dim].value + by, model.size(dim)));
    this.acts.say();
  }

  private choose(by: number): void {
    const { dims } = this.model.spec;
    this.model.active.value = dims[(dims.indexOf(this.model.active.value) + by + dims.length) % dims.length];
    this.acts.say();
  }

  private mode(one: "spectrum" | "heatmap"): void {
    const now = this.model.state.mode;
    now.value = now.value === one ? "wave" : one;
    this.acts.say(MODES.find((mode) => mode.value === now.value)!.text);
  }

  private readFrequencies(): void {
    const { model } = this;
    model.state.mode.value = "spectrum";
    model.active.value = model.state.x.value;
    model.frequency.value ??= 1;
    this.acts.say();
  }

  private mute(solo: boolean): void {
    const { model } = this;
    if (model.frequency.value === null) return;
    this.acts.mute(model.frequency.value, solo);
    const muted = model.state.mute.value.includes(model.frequency.value);
    this.acts.say(`k = ${model.frequency.value} ${solo ? "alone" : muted ? "muted" : "heard"}`);
  }

  private fold(): void {
    const { fold } = this.model.state;
    fold.value = !fold.value;
    this.acts.say(fold.value ? "mirrored" : "not mirrored");
  }

  private flicker(): void {
    const { model } = this;
    if (model.spec.lines.length < 2) return;
    if (model.state.compare.value === "flicker") model.flick.value = !model.flick.value;
    else model.state.compare.value = "flicker";
    this.acts.say(model.spec.lines[model.flick.value ? 1 : 0].name);
  }

  private zoom(out: boolean): void {
    const pane = this.acts.frame().panes.find(zoomable);
    if (!pane) return;
    const { box } = pane;
    zoomed(this.model, pane, box.x + box.w / 2, box.y + box.h / 2, out ? 2 : 0.5, "x");
    this.acts.say(out ? "zoomed out" : "zoomed in");
  }

  private start(): void {
    const { model } = this;
    this.player.stop();
    model.windows.value = {};
    model.frequency.value = null;
    model.trail.length = 0;
    model.pins.value = [];
    model.restore(model.start);
    model.active.value = model.state.play.value ?? model.state.x.value;
    this.acts.say();
  }

  private readonly table: Record<string, (event: KeyboardEvent) => void> = {
    ArrowLeft: (e) => this.step(e.shiftKey ? -10 : -1),
    ArrowRight: (e) => this.step(e.shiftKey ? 10 : 1),
    ArrowUp: () => this.choose(-1),
    ArrowDown: () => this.choose(1),
    Home: () => this.step(-this.model.size(this.model.active.value)),
    End: () => this.step(this.model.size(this.model.active.value)),
    " ": () => (this.player.toggle(), this.acts.say(this.player.playing.peek() ? "playing" : "paused")),
    f: () => this.mode("spectrum"),
    k: () => this.readFrequencies(),
    m: () => this.mute(false),
    M: () => this.mute(true),
    h: () => this.model.spec.dims.length > 1 && this.mode("heatmap"),
    s: () => this.fold(),
    b: () => this.flicker(),
    z: () => this.zoom(false),
    Z: () => this.zoom(true),
    x: () => (this.awaiting = true),
    "+": () => (this.player.ask(), pace(this.model, true)),
    "=": () => (this.player.ask(), pace(this.model, true)),
    "-": () => (this.player.ask(), pace(this.model, false)),
    "0": () => this.start(),
    "?": () => this.acts.help(),
    Escape: () => (this.player.stop(), this.acts.help(false)),
  };

  act(event: KeyboardEvent): boolean {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    if (this.awaiting && /^\d$/.test(event.key)) {
      this.awaiting = false;
      const dim = this.model.spec.dims[Number(event.key)];
      if (dim) this.model.assign("x", dim);
      return true;
    }
    this.awaiting = false;
    const act = Object.hasOwn(this.table, event.key) ? this.table[event.key] : undefined;
    act?.(event);
    return !!act;
  }
}

/** Handles a key; true where it meant something here. */
export function keys(model: Model, player: Player, acts: Acts): (event: KeyboardEvent) => boolean {
  const keyboard = new Keyboard(model, player, acts);
  return (event) => keyboard.act(event);
}

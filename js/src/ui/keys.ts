// The keyboard, for the view that has the focus only.
import type { Model } from "./model";
import { clamp } from "./model";
import type { Player } from "./player";
import { pace } from "./transport";

export const KEYS: [string, string][] = [
  ["← →", "step the active axis (with Shift: 10)"],
  ["↑ ↓", "choose the active axis"],
  ["Home End", "first, last"],
  ["Space", "play or pause"],
  ["f", "wave or spectrum"],
  ["h", "heat map"],
  ["s", "fold about c/2: mirrored, even, odd"],
  ["b", "flicker between A and B"],
  ["x, then a digit", "draw that axis along x"],
  ["+ −", "faster, slower"],
  ["0", "back to the start"],
  ["?", "this list"],
  ["Esc", "stop, close"],
];

export interface Acts {
  help: (open?: boolean) => void;
  say: () => void;
}

/** Handles a key; true where it meant something here. */
export function keys(model: Model, player: Player, acts: Acts): (event: KeyboardEvent) => boolean {
  let awaiting = false;
  const step = (by: number) => {
    const dim = model.active.value;
    if (dim === model.state.play.value && Math.abs(by) === 1) player.step(by as 1 | -1);
    else model.set(dim, clamp(model.index[dim].value + by, model.size(dim)));
    acts.say();
  };
  const choose = (by: number) => {
    const { dims } = model.spec;
    model.active.value = dims[(dims.indexOf(model.active.value) + by + dims.length) % dims.length];
    acts.say();
  };
  const mode = (one: "spectrum" | "heatmap") => {
    const now = model.state.mode;
    now.value = now.value === one ? "wave" : one;
  };
  const table: Record<string, (event: KeyboardEvent) => void> = {
    ArrowLeft: (e) => step(e.shiftKey ? -10 : -1),
    ArrowRight: (e) => step(e.shiftKey ? 10 : 1),
    ArrowUp: () => choose(-1),
    ArrowDown: () => choose(1),
    Home: () => step(-model.size(model.active.value)),
    End: () => step(model.size(model.active.value)),
    " ": () => player.toggle(),
    f: () => mode("spectrum"),
    h: () => model.spec.dims.length > 1 && mode("heatmap"),
    s: () => (model.state.fold.value = !model.state.fold.value),
    b: () => flicker(model),
    x: () => (awaiting = true),
    "+": () => (player.ask(), pace(model, true)),
    "=": () => (player.ask(), pace(model, true)),
    "-": () => (player.ask(), pace(model, false)),
    "0": () => (player.stop(), model.restore(model.start)),
    "?": () => acts.help(),
    Escape: () => (player.stop(), acts.help(false)),
  };
  return (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    if (awaiting && /^\d$/.test(event.key)) {
      awaiting = false;
      const dim = model.spec.dims[Number(event.key)];
      if (dim) model.assign("x", dim);
      return true;
    }
    awaiting = false;
    const act = table[event.key];
    act?.(event);
    return !!act;
  };
}

function flicker(model: Model): void {
  if (model.spec.lines.length < 2) return;
  if (model.state.compare.value === "flicker") model.flick.value = !model.flick.value;
  else model.state.compare.value = "flicker";
}

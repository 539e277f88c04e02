// Pointer and wheel over the picture: hover, scrub, mute, select, wipe.
import type { Frame, Pane } from "../draw/list";
import { mod } from "../core/modp";
import type { Life } from "./dom";
import type { Hover, Model } from "./model";
import { inside } from "./scene";

/** What a place in a pane means; null outside every pane. */
export function locate(model: Model, frame: Frame, x: number, y: number): Hover | null {
  const pane = frame.panes.find((one) => inside(one.box, x, y));
  if (!pane) return null;
  const at = (domain: [number, number], t: number) => domain[0] + t * (domain[1] - domain[0]);
  const u = at(pane.x, (x - pane.box.x) / pane.box.w);
  const v = pane.y[0] > pane.y[1] ? at(pane.y, 1 - (y - pane.box.y) / pane.box.h) : at(pane.y, 1 - (y - pane.box.y) / pane.box.h);
  return { kind: pane.kind, x: column(model, pane, u), y: Math.round(v), id: pane.id };
}

function column(model: Model, pane: Pane, u: number): number {
  if (pane.kind !== "wave") return Math.max(Math.ceil(pane.x[0]), Math.min(Math.floor(pane.x[1]), Math.round(u)));
  const n = model.size(model.state.x.value);
  const axes = model.axes();
  const shift = model.state.centre.value && axes.length ? axes[0] : 0;
  return mod(Math.round(u + shift), n);
}

interface Hands {
  frame: () => Frame;
  mute: (k: number, solo: boolean) => void;
  select: (id: number) => void;
}

const LONG_PRESS = 350;

export function pointer(life: Life, canvas: HTMLCanvasElement, model: Model, hands: Hands): void {
  let dragging = false;
  let press = 0;
  const here = (event: PointerEvent | MouseEvent): Hover | null => {
    const box = canvas.getBoundingClientRect();
    return locate(model, hands.frame(), event.clientX - box.left, event.clientY - box.top);
  };
  const show = (hover: Hover | null) => {
    model.hover.value = hover;
    const x = model.state.x.value;
    model.shared.hover.value = hover && (hover.kind === "wave" || hover.kind === "heat") ? { axis: x, at: hover.x } : null;
    if (hover?.kind === "heat" && model.state.y.value) model.set(model.state.y.value, hover.y);
  };
  const move = (event: PointerEvent) => {
    if (event.pointerType === "touch" && !dragging) clearTimeout(press);
    const hover = here(event);
    show(hover);
    if (dragging && hover) apply(hover, event);
  };
  const apply = (hover: Hover, event: PointerEvent) => {
    if (model.state.compare.value === "wipe") {
      model.wipe.value = hover.x / model.size(model.state.x.value);
    } else if (hover.kind === "wave" || hover.kind === "heat") {
      model.set(model.state.x.value, hover.x);
      if (event.type === "pointerdown" && event.pointerType !== "touch") model.active.value = model.state.x.value;
    }
  };
  canvas.addEventListener("pointermove", move);
  canvas.addEventListener("pointerleave", () => show(null));
  canvas.addEventListener("pointerdown", (event) => {
    const hover = here(event);
    if (event.pointerType === "touch") press = window.setTimeout(() => show(hover), LONG_PRESS);
    if (!hover) return;
    dragging = true;
    canvas.setPointerCapture?.(event.pointerId);
    apply(hover, event);
  });
  canvas.addEventListener("pointerup", () => {
    dragging = false;
    clearTimeout(press);
  });
  canvas.addEventListener("click", (event) => {
    const hover = here(event);
    if (hover?.kind === "spectrum") hands.mute(hover.x, event.altKey || event.shiftKey);
    if ((hover?.kind === "cell" || hover?.kind === "row") && hover.id !== undefined) hands.select(hover.id);
  });
  canvas.addEventListener("dblclick", (event) => {
    const hover = here(event);
    if (hover?.kind === "spectrum") hands.mute(hover.x, true);
  });
  canvas.addEventListener(
    "wheel",
    (event) => {
      const play = model.state.play.value;
      // Only while the view has the focus: otherwise the wheel belongs to the page.
      if (!play || !focused(canvas)) return;
      event.preventDefault();
      model.set(play, mod(model.index[play].value + Math.sign(event.deltaY || event.deltaX), model.size(play)));
    },
    { passive: false },
  );
  life.add(() => clearTimeout(press));
}

function focused(el: HTMLElement): boolean {
  const root = el.getRootNode() as Document | ShadowRoot;
  return !!root.activeElement && !!el.closest(".card")?.contains(root.activeElement);
}

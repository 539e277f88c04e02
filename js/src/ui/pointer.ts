// Pointer, touch and wheel over the picture: read, play by hand, zoom, mute, select, wipe.
import type { Frame, Pane } from "../draw/list";
import { mod } from "../core/modp";
import type { Life } from "./dom";
import type { Hover, Model } from "./model";
import { inside } from "./scene";
import { zoomable, zoomed, panned } from "./zoom";

/** What a place in a pane means; null outside every pane. */
export function locate(model: Model, frame: Frame, x: number, y: number): Hover | null {
  const pane = frame.panes.find((one) => inside(one.box, x, y));
  if (!pane) return null;
  const along = (domain: [number, number], t: number) => domain[0] + t * (domain[1] - domain[0]);
  const u = pane.px ? pane.px.invert(x) : along(pane.x, (x - pane.box.x) / pane.box.w);
  const v = along(pane.y, 1 - (y - pane.box.y) / pane.box.h);
  return { kind: pane.kind, x: column(model, pane, u), y: row(model, pane, v), id: pane.id };
}

function row(model: Model, pane: Pane, v: number): number {
  if (pane.kind !== "heat" || !model.state.y.value) return Math.round(v);
  return Math.max(0, Math.min(model.size(model.state.y.value) - 1, Math.round(v)));
}

function column(model: Model, pane: Pane, u: number): number {
  const x = model.state.x.value;
  const n = model.size(x);
  if (pane.kind === "heat") return Math.max(0, Math.min(n - 1, Math.round(u)));
  if (pane.kind !== "wave") return Math.max(Math.ceil(pane.x[0]), Math.min(Math.floor(pane.x[1]), Math.round(u)));
  const coords = model.coordinates(x);
  if (coords) return nearest(coords, u);
  const axes = model.axes();
  const shift = model.state.centre.value && axes.length ? axes[0] : 0;
  return model.isCircle(x) ? mod(Math.round(u + shift), n) : Math.max(0, Math.min(n - 1, Math.round(u)));
}

/** The index of the coordinate nearest to a place. */
export function nearest(coords: readonly number[], u: number): number {
  let [lo, hi] = [0, coords.length - 1];
  while (hi - lo > 1) {
    const middle = (lo + hi) >> 1;
    if (coords[middle] <= u) lo = middle;
    else hi = middle;
  }
  return Math.abs(coords[lo] - u) <= Math.abs(coords[hi] - u) ? lo : hi;
}

export interface Hands {
  frame: () => Frame;
  mute: (k: number, solo: boolean) => void;
  select: (id: number) => void;
}

const LONG_PRESS = 350;
/** Pixels that a pointer moves before it drags. */
const SLACK = 5;
/** Wheel travel (in pixels) of one step: a notch of a mouse wheel has about 100, a trackpad sends a few at a time. */
const NOTCH = 50;

interface Press {
  id: number;
  x: number;
  y: number;
  pane: Pane;
  index: number;
  dragging: boolean;
  wiping: boolean;
}

class Pointer {
  private press: Press | null = null;
  private readonly touches = new Map<number, { x: number; y: number }>();
  private pinch = 0;
  private timer = 0;
  private quiet = false;
  private travel = 0;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly model: Model,
    private readonly hands: Hands,
  ) {}

  place(event: { clientX: number; clientY: number }): { x: number; y: number } {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  private read(event: { clientX: number; clientY: number }): Hover | null {
    const { x, y } = this.place(event);
    return locate(this.model, this.hands.frame(), x, y);
  }

  show(hover: Hover | null): void {
    const { model } = this;
    model.hover.value = hover;
    const x = model.state.x.value;
    model.shared.hover.value = hover && (hover.kind === "wave" || hover.kind === "heat") ? { axis: x, at: hover.x } : null;
    if (hover?.kind === "heat" && model.state.y.value) model.set(model.state.y.value, hover.y);
  }

  down(event: PointerEvent): void {
    const { model } = this;
    this.quiet = false;
    const { x, y } = this.place(event);
    if (event.pointerType === "touch") {
      this.touches.set(event.pointerId, { x, y });
      if (this.touches.size === 2) return this.startPinch();
      const hover = this.read(event);
      this.timer = window.setTimeout(() => {
        this.quiet = true;
        this.show(hover);
      }, LONG_PRESS);
    }
    const pane = this.hands.frame().panes.find((one) => inside(one.box, x, y));
    if (!pane || event.button > 0) return;
    const play = model.state.play.value;
    const wiping = model.state.compare.value === "wipe" && (pane.kind === "wave" || pane.kind === "heat");
    this.press = { id: event.pointerId, x, y, pane, index: play ? model.index[play].value : 0, dragging: false, wiping };
    this.canvas.setPointerCapture?.(event.pointerId);
  }

  move(event: PointerEvent): void {
    const { x, y } = this.place(event);
    if (this.touches.has(event.pointerId)) this.touches.set(event.pointerId, { x, y });
    if (this.touches.size === 2) return this.goOnPinching();
    const { press } = this;
    if (press && !press.dragging && Math.hypot(x - press.x, y - press.y) > SLACK) {
      press.dragging = true;
      clearTimeout(this.timer);
      this.canvas.classList.add("dragged");
    }
    if (press?.dragging) this.drag(press, x, y);
    if (event.pointerType !== "touch" || press) this.show(this.read(event));
  }

  /** A wipe follows the pointer; a zoomed picture moves; otherwise the played axis runs, once through over the width. */
  private drag(press: Press, x: number, y: number): void {
    const { model } = this;
    if (press.wiping) {
      model.wipe.value = Math.max(0, Math.min(1, (x - press.pane.box.x) / press.pane.box.w));
      return;
    }
    if (zoomable(press.pane) && model.windows.value[press.pane.kind]) {
      panned(model, press.pane, x - press.x, y - press.y);
      return;
    }
    const play = model.state.play.value;
    if (!play) return;
    const size = model.size(play);
    const to = press.index + Math.round(((x - press.x) / press.pane.box.w) * size);
    model.active.value = play;
    model.set(play, model.isCircle(play) ? mod(to, size) : to);
  }

  up(event: PointerEvent): void {
    this.touches.delete(event.pointerId);
    this.pinch = 0;
    clearTimeout(this.timer);
    this.canvas.classList.remove("dragged");
    if (this.press?.dragging) this.quiet = true;
    this.press = null;
  }

  private startPinch(): void {
    clearTimeout(this.timer);
    this.quiet = true;
    this.press = null;
    this.pinch = this.spread().length;
  }

  private spread(): { length: number; x: number; y: number } {
    const [one, other] = [...this.touches.values()];
    return { length: Math.hypot(one.x - other.x, one.y - other.y), x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 };
  }

  private goOnPinching(): void {
    const now = this.spread();
    const pane = this.hands.frame().panes.find((one) => inside(one.box, now.x, now.y));
    if (pane && this.pinch > 0) zoomed(this.model, pane, now.x, now.y, this.pinch / now.length, "x");
    this.pinch = now.length;
  }

  click(event: MouseEvent): void {
    if (this.quiet) return;
    const { model } = this;
    const hover = this.read(event);
    if (!hover) return;
    model.active.value = model.state.play.value ?? model.state.x.value;
    if (hover.kind === "spectrum") this.hands.mute(hover.x, event.altKey || event.shiftKey);
    if ((hover.kind === "cell" || hover.kind === "row") && hover.id !== undefined) this.hands.select(hover.id);
    if (hover.kind === "wave" || hover.kind === "heat") model.set(model.state.x.value, hover.x);
    if (hover.kind !== "cell" && hover.kind !== "row") this.show(hover);
  }

  /** Back to the whole picture; where it is whole already, a frequency alone. */
  double(event: MouseEvent): void {
    if (Object.keys(this.model.windows.value).length) {
      this.model.windows.value = {};
      return;
    }
    const hover = this.read(event);
    if (hover?.kind === "spectrum") this.hands.mute(hover.x, true);
  }

  wheel(event: WheelEvent): void {
    const { model } = this;
    const { x, y } = this.place(event);
    const way = Math.abs(event.deltaY) >= Math.abs(event.deltaX) ? event.deltaY : event.deltaX;
    const pixels = way * (event.deltaMode === 1 ? 33 : event.deltaMode === 2 ? 400 : 1);
    if (event.ctrlKey || event.metaKey || event.altKey) {
      const pane = this.hands.frame().panes.find((one) => inside(one.box, x, y));
      if (!pane || !zoomable(pane)) return;
      event.preventDefault();
      return zoomed(model, pane, x, y, Math.exp(Math.max(-1, Math.min(1, pixels / 300))), event.altKey ? "y" : "x");
    }
    const play = model.state.play.value;
    // Only while the view has the focus: otherwise the wheel belongs to the page.
    if (!play || !focused(this.canvas)) return;
    event.preventDefault();
    this.travel += pixels;
    const steps = Math.trunc(this.travel / NOTCH);
    if (!steps) return;
    this.travel -= steps * NOTCH;
    // A notch is one step, however far it goes.
    const by = Math.abs(pixels) >= 2 * NOTCH ? Math.sign(steps) : steps;
    if (Math.abs(pixels) >= 2 * NOTCH) this.travel = 0;
    const to = model.index[play].value + by;
    model.set(play, model.isCircle(play) || model.state.loop.value === "loop" ? mod(to, model.size(play)) : to);
  }

  end(): void {
    clearTimeout(this.timer);
  }
}

export function pointer(life: Life, canvas: HTMLCanvasElement, model: Model, hands: Hands): void {
  const one = new Pointer(canvas, model, hands);
  canvas.addEventListener("pointerdown", (event) => one.down(event));
  canvas.addEventListener("pointermove", (event) => one.move(event));
  canvas.addEventListener("pointerup", (event) => one.up(event));
  canvas.addEventListener("pointercancel", (event) => one.up(event));
  // A finger that is lifted leaves too, and its reading is to stay.
  canvas.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && one.show(null));
  canvas.addEventListener("contextmenu", (event) => (event as PointerEvent).pointerType === "touch" && event.preventDefault());
  canvas.addEventListener("click", (event) => one.click(event));
  canvas.addEventListener("dblclick", (event) => one.double(event));
  canvas.addEventListener("wheel", (event) => one.wheel(event), { passive: false });
  life.add(() => one.end());
}

function focused(el: HTMLElement): boolean {
  const root = el.getRootNode() as Document | ShadowRoot;
  return !!root.activeElement && !!el.closest(".card")?.contains(root.activeElement);
}

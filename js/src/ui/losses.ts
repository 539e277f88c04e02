// The losses over the epochs, under their slider: a click goes to that epoch.
import { paint } from "../draw/canvas";
import type { Item } from "../draw/list";
import { linear, scaled } from "../core/scale";
import { h, type Life } from "./dom";
import type { Model } from "./model";

const HEIGHT = 46;

export function losses(life: Life, model: Model, dim: string): HTMLElement {
  const { lines } = model.spec.losses!;
  const canvas = h("canvas", { class: "losses", role: "img", title: `${lines.map((one) => one.name).join(", ")}, logarithmic: click to go there` });
  const values = lines.flatMap((one) => one.values).filter((v): v is number => v !== null && v > 0);
  const domain: [number, number] = values.length ? [Math.min(...values) / 1.2, Math.max(...values) * 1.2] : [0.1, 1];
  const n = model.size(dim);
  const draw = () => {
    const width = canvas.clientWidth || 300;
    const { theme } = model;
    const x = linear([0, Math.max(1, n - 1)], [8, width - 8]);
    const y = scaled("log", domain, [HEIGHT - 4, 4]);
    const at = model.index[dim].value;
    const items: Item[] = [{ t: "segments", points: [x(at), 0, x(at), HEIGHT], stroke: theme.mark, width: 1.5 }];
    lines.forEach((one, i) => {
      const ys = one.values.map((v) => (v !== null && v > 0 ? y(v) : NaN));
      items.push({ t: "line", xs: ys.map((_, j) => x(j)), ys, stroke: theme.lines[i], width: 1.5, dash: i ? [4, 3] : [] });
      items.push({ t: "text", x: width - 10, y: 9 + 12 * i, text: one.name, size: 10.5, fill: theme.lines[i], anchor: "end", halo: theme.ground });
    });
    paint(canvas, { width, height: HEIGHT, items, panes: [], notes: [] }, Math.max(1, window.devicePixelRatio || 1), theme.ground);
    const said = lines.map((one) => `${one.name} ${one.values[at]?.toPrecision(3) ?? "not known"}`).join(", ");
    canvas.setAttribute("aria-label", `losses at ${dim} ${model.label(dim, at)}: ${said}`);
  };
  const go = (event: PointerEvent) => {
    const box = canvas.getBoundingClientRect();
    const place = linear([0, Math.max(1, n - 1)], [8, box.width - 8]).invert(event.clientX - box.left);
    model.active.value = dim;
    model.set(dim, place);
  };
  canvas.addEventListener("pointerdown", (event) => (canvas.setPointerCapture?.(event.pointerId), go(event)));
  canvas.addEventListener("pointermove", (event) => event.buttons && go(event));
  const sizes = new ResizeObserver(draw);
  sizes.observe(canvas);
  life.add(() => sizes.disconnect());
  life.effect(draw);
  return canvas;
}

// On paper: the picture drawn anew as vectors, without controls; not at all within an element with data-print="no", as in a
// report, which prints pictures of its own instead.
import { svg } from "../draw/svg";
import { h, type Life } from "./dom";
import { exported } from "./exports";
import type { Model } from "./model";

let count = 0;

export function printing(life: Life, model: Model, card: HTMLElement): void {
  const paper = h("div", { class: "printed", "aria-hidden": "true" });
  const prefix = `print${count++}-`;
  card.append(paper);
  const leftOut = () => (card.getRootNode() as ShadowRoot).host?.closest('[data-print="no"]') != null;
  const fill = () => {
    if (leftOut()) return;
    const { frame, ground } = exported(model);
    paper.innerHTML = svg(frame, ground, model.caption(), prefix);
  };
  const media = matchMedia("print");
  const look = () => (media.matches ? fill() : paper.replaceChildren());
  const empty = () => paper.replaceChildren();
  window.addEventListener("beforeprint", fill);
  window.addEventListener("afterprint", empty);
  media.addEventListener("change", look);
  life.add(() => (window.removeEventListener("beforeprint", fill), window.removeEventListener("afterprint", empty), media.removeEventListener("change", look)));
}

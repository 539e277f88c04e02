// Pictures, numbers and calls out of the page.
import { paint } from "../draw/canvas";
import { svg } from "../draw/svg";
import { changes, pythonCall, toHash } from "../io/hash";
import { DEFAULTS, type Model } from "./model";
import { csv, npy, sliceOf, tableOf } from "./data";
import { h } from "./dom";
import type { Player } from "./player";
import { captioned, sceneOf } from "./scene";

const EXPORT = { width: 900, height: 420 };

function download(name: string, content: Blob): void {
  const address = URL.createObjectURL(content);
  const link = h("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 5000);
}

const fileName = (model: Model, ending: string): string =>
  `${(model.spec.title || model.spec.name).replace(/[^\w.-]+/g, "_").slice(0, 60) || "view"}.${ending}`;

function exported(model: Model) {
  const square = ["heatmap", "spectrum2d"].includes(model.state.mode.peek());
  const tall = square ? 720 : ["multiples", "ridge", "both"].includes(model.state.mode.peek()) ? 640 : EXPORT.height;
  model.exporting = true;
  try {
    return { frame: captioned(model, sceneOf(model, EXPORT.width, tall)), ground: model.theme.ground };
  } finally {
    model.exporting = false;
  }
}

/** In light colours unless Python asked for dark ones. */
export function savePng(model: Model, ratio: number): void {
  const canvas = h("canvas");
  const { frame, ground } = exported(model);
  paint(canvas, frame, ratio, ground);
  canvas.toBlob((blob) => blob && download(fileName(model, "png"), blob), "image/png");
}

export function saveSvg(model: Model): void {
  const { frame, ground } = exported(model);
  download(fileName(model, "svg"), new Blob([svg(frame, ground, `${model.caption()} ${model.message()}`)], { type: "image/svg+xml" }));
}

export const saveCsv = (model: Model): void => download(fileName(model, "csv"), new Blob([csv(tableOf(model))], { type: "text/csv" }));

export function saveNpy(model: Model): void {
  const made = sliceOf(model);
  if (made) download(fileName(model, "npy"), new Blob([npy(made.values, made.shape) as Uint8Array<ArrayBuffer>]));
}

export const callOf = (model: Model): string => pythonCall(model.spec.call, model.snapshot(), DEFAULTS);
export const linkOf = (models: Model[]): string => location.href.split("#")[0] + toHash(models.map((m) => changes(m.snapshot(), m.start)));

/** Records one cycle of playing as WebM; resolves when the file is offered. */
export async function saveWebm(model: Model, player: Player, say: (text: string) => void): Promise<void> {
  const dim = model.state.play.peek();
  if (!dim || typeof MediaRecorder === "undefined") return say("this browser cannot record");
  const canvas = h("canvas");
  const draw = () => {
    const { frame, ground } = exported(model);
    paint(canvas, frame, 1.5, ground);
  };
  draw();
  const recorder = new MediaRecorder(canvas.captureStream(30), { mimeType: "video/webm", videoBitsPerSecond: 6e6 });
  const parts: Blob[] = [];
  recorder.ondataavailable = (event) => parts.push(event.data);
  const done = new Promise<void>((end) => (recorder.onstop = () => end()));
  player.stop();
  recorder.start();
  const n = model.size(dim);
  const wait = (1000 * model.state.seconds.peek()) / n;
  for (let i = 0; i < n; i++) {
    model.set(dim, i);
    draw();
    say(`recording ${i + 1} of ${n}`);
    await new Promise((next) => setTimeout(next, wait));
  }
  recorder.stop();
  await done;
  download(fileName(model, "webm"), new Blob(parts, { type: "video/webm" }));
  say("recorded");
}

/** Copies, or shows the text for copying by hand where the page may not reach the clipboard. */
export async function copy(text: string, holder: HTMLElement, say: (text: string) => void): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    say("copied");
  } catch {
    const box = h("textarea", { readonly: "", rows: "3", "aria-label": "copy this text" });
    box.value = text;
    const close = h("button", { type: "button", class: "chip" }, "close");
    const panel = h("div", { class: "copybox" }, box, close);
    close.addEventListener("click", () => panel.remove());
    holder.append(panel);
    box.focus();
    box.select();
    say("press Ctrl+C to copy");
  }
}

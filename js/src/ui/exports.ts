// Pictures, numbers and calls out of the page.
import { paint } from "../draw/canvas";
import type { Frame } from "../draw/list";
import { svg } from "../draw/svg";
import { changes, pythonCall, toHash } from "../io/hash";
import { DEFAULTS, type Model } from "./model";
import { csv, npy, sliceOf, tableOf } from "./data";
import { h } from "./dom";
import type { Player } from "./player";
import { captioned } from "./frames";
import { sceneOf } from "./scene";
import { EXPORT_WIDTH, exportedSize } from "./sizes";

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

/** The picture as it goes out, and the colour behind it. */
export function exported(model: Model): { frame: Frame; ground: string } {
  model.exporting = true;
  try {
    return { frame: captioned(model, sceneOf(model, EXPORT_WIDTH, exportedSize(model.state.mode.peek()))), ground: model.theme.ground };
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

/** Code that runs as it stands: what makes the array, and the call. */
export function callOf(model: Model): string {
  const state = model.snapshot();
  let setup = model.spec.setup ?? "import modscope as ms";
  if (setup.includes("{epoch}")) {
    const at = model.index.epoch?.peek();
    setup = setup.replaceAll("{epoch}", at === undefined ? "" : model.label("epoch", at)).replace(".sel(epoch=)", "[-1]");
    delete state.index.epoch;
    if (state.play === "epoch") state.play = null;
  }
  return `${setup}\n\n${pythonCall(model.spec.call, state, DEFAULTS)}\n`;
}

export const linkOf = (models: Model[]): string => location.href.split("#")[0] + toHash(models.map((m) => changes(m.snapshot(), m.start)));

/** Records one cycle of playing, as long as it takes to play; the index is put back where it was. */
export async function saveWebm(model: Model, player: Player, say: (text: string) => void): Promise<void> {
  const dim = model.state.play.peek();
  if (!dim || typeof MediaRecorder === "undefined") return say("this browser cannot record");
  const canvas = h("canvas");
  const draw = () => {
    const { frame, ground } = exported(model);
    paint(canvas, frame, 1.5, ground);
  };
  draw();
  const stream = canvas.captureStream(30);
  const recorder = new MediaRecorder(stream, { mimeType: "video/webm", videoBitsPerSecond: 6e6 });
  const parts: Blob[] = [];
  recorder.ondataavailable = (event) => parts.push(event.data);
  const done = new Promise<void>((end) => (recorder.onstop = () => end()));
  player.stop();
  const before = model.index[dim].peek();
  const n = model.size(dim);
  const seconds = model.state.seconds.peek();
  const begun = new Promise<void>((go) => (recorder.onstart = () => go()));
  recorder.start();
  await begun;
  const start = performance.now();
  try {
    for (;;) {
      const passed = (performance.now() - start) / 1000;
      if (passed >= seconds) break;
      const i = Math.min(n - 1, Math.floor((passed / seconds) * n));
      if (i !== model.index[dim].peek() || passed === 0) {
        model.set(dim, i);
        draw();
      }
      model.progress.value = `recording ${Math.round((100 * passed) / seconds)} %`;
      await new Promise((next) => setTimeout(next, 1000 / 60));
    }
    // The last picture has to reach the recorder.
    await new Promise((next) => setTimeout(next, 120));
  } finally {
    recorder.stop();
    model.set(dim, before);
    model.progress.value = "";
  }
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
    const box = h("textarea", { readonly: "", rows: "6", "aria-label": "copy this text" });
    box.value = text;
    const close = h("button", { type: "button", class: "chip" }, "close");
    const panel = h("div", { class: "copybox" }, box, close);
    const shut = () => (panel.remove(), holder.focus({ preventScroll: true }));
    close.addEventListener("click", shut);
    panel.addEventListener("keydown", (event) => event.key === "Escape" && (event.stopPropagation(), shut()));
    holder.append(panel);
    box.focus();
    box.select();
    say("press Ctrl+C to copy");
  }
}

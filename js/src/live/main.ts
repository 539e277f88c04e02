// The live scope: a network as it learns. Pictures are asked for, how training stands is pushed.
import { THEMES, type Theme } from "../core/colour";
import { h } from "../ui/dom";
import { curves, Frequencies, map, neurons, spectrum, spectrumBox, wave } from "./panels";
import { number, sheet } from "./paint";
import style from "./style.css";
import { address, Pictures, post, stream, type Description, type Picture, type Row, type Standing } from "./wire";

const description = JSON.parse(document.getElementById("description")!.textContent!) as Description;
const root = document.getElementById("live")!;
document.head.append(h("style", {}, style));

const darkly = matchMedia("(prefers-color-scheme: dark)");
const theme = (): Theme => THEMES[darkly.matches ? "dark" : "light"];

let rows: Row[] = [];
let standing: Standing | null = null;
let picture: Picture | null = null;
let frozen = false;
let epoch: number | null = null;
let epochs: number[] = [];
let chosen: number | null = null;
const frequencies = new Frequencies();

// The bar, the knobs, the time

const said = h("p", { class: "soft", role: "status", "aria-live": "polite" });
// What went wrong at a knob stays until a knob is used again; what went wrong with a picture until there is a picture.
const refused = h("p", { role: "alert" });
const unseen = h("p", { role: "alert" });
const freeze = h("button", { type: "button", "aria-pressed": "false", title: "hold the picture; training goes on" }, "Freeze");
const pause = h("button", { type: "button", "aria-pressed": "false", title: "let training wait" }, "Pause training");
const rate = h("input", { type: "number", min: "0", max: "10", step: "any", "aria-label": "learning rate" });
const decay = h("input", { type: "number", min: "0", max: "1000", step: "any", "aria-label": "weight decay" });
const out = h("input", { type: "number", min: "1", max: String(Math.floor(description.p / 2)), step: "1", "aria-label": "frequency to take out" });
const take = h("button", { type: "button" }, "Take this frequency out");
const setRate = h("button", { type: "button" }, "Set");
const setDecay = h("button", { type: "button" }, "Set");
const slider = h("input", { type: "range", min: "0", max: "0", value: "0", "aria-label": "kept epoch" });
const where = h("output", {}, "live");
const live = h("button", { type: "button", "aria-pressed": "true" }, "Live");
const list = h("p", { class: "soft" });

// The panels

const panel = (title: string, label: string, ...more: Node[]) => {
  const canvas = h("canvas", { role: "img", "aria-label": label }) as HTMLCanvasElement;
  const section = h("section", {}, h("h2", {}, title), ...more, canvas);
  return { section, canvas };
};
const curvePanel = panel("Loss and accuracy", "loss and accuracy by step");
const spectrumPanel = panel("Spectrum of the embedding", "share of the embedding's energy by frequency");
const neuronPanel = panel("Neurons: amplitude and phase", "neurons as points of amplitude and phase");
const hook = h("select", { "aria-label": "activation" }, ...description.offers.map((offer) => h("option", { value: offer.hook }, offer.hook))) as HTMLSelectElement;
const features = h("span", {});
const order = h("select", { "aria-label": "order of the pairs" }, ...description.orders.map((name) => h("option", { value: name }, `(${name.replace(",", ", ")})`))) as HTMLSelectElement;
const shape = h("select", { "aria-label": "wave or heat map" }, h("option", { value: "wave" }, "wave"), h("option", { value: "map" }, "heat map")) as HTMLSelectElement;
const row = h("input", { type: "number", min: "0", max: String(description.p - 1), value: "0", step: "1", "aria-label": "row" }) as HTMLInputElement;
const rowLabel = h("label", {}, "row ", row);
const activationPanel = panel("One activation", "one activation of the network", h("div", { class: "pick" }, hook, features, order, shape, rowLabel));
if (description.offers.some((offer) => offer.hook === "mlp_post")) hook.value = "mlp_post";

root.append(
  h("header", {}, h("h1", {}, description.title), said, h("span", {}, freeze, " ", pause)),
  refused,
  unseen,
  h(
    "div",
    { class: "knobs", role: "group", "aria-label": "knobs" },
    h("label", {}, "learning rate ", rate, setRate),
    h("label", {}, "weight decay ", decay, setDecay),
    h("label", {}, "frequency ", out, take),
    description.steered ? "" : h("span", { class: "soft" }, "followed: another process trains it"),
    list,
  ),
  h("div", { class: "time" }, live, h("label", {}, "kept epochs ", slider), where),
  h("div", { class: "panels" }, curvePanel.section, spectrumPanel.section, neuronPanel.section, activationPanel.section),
);

function drawCurves(): void {
  if (!standing) return;
  curves(sheet(curvePanel.canvas, theme()), rows, standing.events, standing.begun_anew, epoch);
  const last = rows[rows.length - 1];
  if (last) curvePanel.canvas.setAttribute("aria-label", `loss and accuracy by step; at step ${last[0]} the train loss is ${number(last[1])}`);
}

function drawPicture(): void {
  if (!picture) return;
  const { arrays } = picture;
  if (arrays.spectrum) {
    const shares = arrays.spectrum;
    const strong = Array.from(shares, (share, i) => [share, i + 1]).filter(([share]) => share > Math.max(0.03, 2.5 / shares.length));
    strong.sort((a, b) => b[0] - a[0]);
    frequencies.keep(new Set(strong.slice(0, 8).map(([, k]) => k)));
    spectrum(sheet(spectrumPanel.canvas, theme()), shares, frequencies, chosen);
    const words = strong.slice(0, 5).map(([share, k]) => `${Math.round(100 * share)} % at ${k}`).join(", ");
    spectrumPanel.canvas.setAttribute("aria-label", `share of the embedding's energy by frequency: ${words || "spread over all"}`);
  }
  if (arrays.amplitude) {
    const words = neurons(sheet(neuronPanel.canvas, theme()), picture, frequencies);
    neuronPanel.canvas.setAttribute("aria-label", `neurons as points of amplitude and phase: ${words || "no frequency stands out"}`);
  }
  const [first, second] = picture.order.split(",");
  const name = `${picture.hook}[${picture.feature.join(", ")}]`;
  const s = sheet(activationPanel.canvas, theme());
  if (picture.row === null) map(s, arrays.picture, picture.shape, [first, second], name);
  else wave(s, arrays.picture, second, `${name}, ${first} = ${picture.row}`);
  activationPanel.canvas.dataset.step = String(picture.step);
  activationPanel.canvas.setAttribute("aria-label", `${name} at step ${picture.step}, order (${first}, ${second})`);
}

function drawAll(): void {
  drawCurves();
  drawPicture();
}

// What is wished for

function wish(): Record<string, string> | null {
  if (document.hidden || (frozen && picture)) return null;
  const at = [...features.querySelectorAll("input")].map((input) => String(Math.max(0, Math.min(Number(input.max), Math.round(Number(input.value) || 0)))));
  const wanted: Record<string, string> = { hook: hook.value, feature: at.join(","), order: order.value };
  if (shape.value === "wave") wanted.row = String(Math.max(0, Math.min(description.p - 1, Math.round(Number(row.value) || 0))));
  if (epoch !== null) wanted.epoch = String(epoch);
  return wanted;
}

const pictures = new Pictures(
  wish,
  (made) => {
    if (frozen) return;
    picture = made;
    drawPicture();
  },
  (words) => (unseen.textContent = words),
);

function showFeatures(): void {
  const offer = description.offers.find((one) => one.hook === hook.value)!;
  features.replaceChildren(
    ...offer.axes.map((axis, i) => {
      const input = h("input", { type: "number", min: "0", max: String(offer.sizes[i] - 1), value: "0", step: "1", "aria-label": axis }) as HTMLInputElement;
      input.addEventListener("input", () => pictures.again());
      return h("label", {}, `${axis} `, input);
    }),
  );
}
showFeatures();
hook.addEventListener("change", () => (showFeatures(), pictures.again()));
for (const input of [order, shape, row]) {
  input.addEventListener("input", () => {
    rowLabel.hidden = shape.value !== "wave";
    pictures.again();
  });
}

// Knobs

let wishes = 0;
async function tell(path: string, body: object): Promise<void> {
  const mine = ++wishes;
  refused.textContent = "";
  const words = await post(path, body);
  if (mine === wishes) refused.textContent = words;
}
const knob = (kind: string, input: HTMLElement) => {
  const value = (input as HTMLInputElement).valueAsNumber;
  if (Number.isFinite(value)) void tell("/knob", { kind, value });
  else {
    wishes++;
    refused.textContent = "give a number first";
  }
};
setRate.addEventListener("click", () => knob("learning_rate", rate));
setDecay.addEventListener("click", () => knob("weight_decay", decay));
take.addEventListener("click", () => knob("remove_frequency", out));
for (const [input, kind] of [[rate, "learning_rate"], [decay, "weight_decay"]] as [HTMLElement, string][]) {
  input.addEventListener("keydown", (event) => {
    if ((event as KeyboardEvent).key === "Enter") knob(kind, input);
  });
}
out.addEventListener("input", () => {
  chosen = (out as HTMLInputElement).valueAsNumber || null;
  drawPicture();
});
spectrumPanel.canvas.addEventListener("click", (event) => {
  if (!picture?.arrays.spectrum) return;
  const count = picture.arrays.spectrum.length;
  const box = spectrumBox({ w: spectrumPanel.canvas.clientWidth, h: spectrumPanel.canvas.clientHeight });
  const k = Math.floor(((event.offsetX - box.x) / box.w) * count) + 1;
  if (k < 1 || k > count) return;
  chosen = k;
  (out as HTMLInputElement).value = String(k);
  drawPicture();
});
freeze.addEventListener("click", () => {
  frozen = !frozen;
  freeze.setAttribute("aria-pressed", String(frozen));
  if (!frozen) {
    pictures.again();
    drawAll();
  }
});
pause.addEventListener("click", () => void tell("/pause", { paused: !standing?.paused }));

// Time

async function keptEpochs(): Promise<void> {
  try {
    epochs = (await (await fetch(address("/epochs"))).json()) as number[];
  } catch {
    return;
  }
  slider.setAttribute("max", String(Math.max(0, epochs.length - 1)));
  if (epoch === null) (slider as HTMLInputElement).value = String(Math.max(0, epochs.length - 1));
}

function goTo(to: number | null): void {
  epoch = to;
  live.setAttribute("aria-pressed", String(to === null));
  where.textContent = to === null ? "live" : `epoch ${to}`;
  slider.setAttribute("aria-valuetext", to === null ? "live" : `epoch ${to}`);
  pictures.again();
  drawCurves();
}
slider.addEventListener("input", () => {
  const to = epochs[Number((slider as HTMLInputElement).value)];
  if (to !== undefined) goTo(to);
});
live.addEventListener("click", () => {
  (slider as HTMLInputElement).value = slider.getAttribute("max") ?? "0";
  goTo(null);
});
setInterval(() => {
  if (standing && standing.serving && !document.hidden) void keptEpochs();
}, 3000);
void keptEpochs();

// How training stands

function told(now: Standing): void {
  rows = now.from ? rows.concat(now.rows) : now.rows;
  const first = standing === null;
  const moved = standing?.rates[0] !== now.rates[0] || standing?.rates[1] !== now.rates[1];
  standing = now;
  if (first || moved) {
    if (document.activeElement !== rate) (rate as HTMLInputElement).value = String(Number(now.rates[0].toPrecision(3)));
    if (document.activeElement !== decay) (decay as HTMLInputElement).value = String(Number(now.rates[1].toPrecision(3)));
  }
  const last = [...rows].reverse().find((one) => one[4] !== null);
  const pace = now.pace && !now.finished ? `, ${now.pace.toFixed(0)} steps/s` : "";
  const state = now.finished ? `: ${now.finished}` : now.paused ? ": paused" : "";
  const known = last ? `, test accuracy ${(100 * last[4]!).toFixed(1)} %` : "";
  if (!frozen || now.finished) said.textContent = now.step < 0 ? "preparing: the first time the training step is compiled" : `step ${now.step}${pace}${known}${state}${now.serving ? "" : "; the program has ended"}`;
  pause.textContent = now.paused ? "Go on" : "Pause training";
  pause.setAttribute("aria-pressed", String(now.paused));
  const over = !description.steered || Boolean(now.finished) || !now.serving;
  for (const button of [pause, setRate, setDecay, take]) (button as HTMLButtonElement).disabled = over;
  list.textContent = now.events.length ? `changed by hand: ${now.events.map((e) => `${e.kind.replaceAll("_", " ")} ${number(e.value)} at step ${e.step}`).join("; ")}` : "";
  if (!frozen) drawCurves();
  if (!now.serving) pictures.stop();
}

stream(told, () => (said.textContent = "the program that trains does not answer"));
pictures.start();
darkly.addEventListener("change", drawAll);
new ResizeObserver(drawAll).observe(root);

// Hosts: a page with blocks (mounts itself), an anywidget (render), a server (mount with its source).
import { effect, signal, type Signal } from "@preact/signals-core";
import { Life, h, measured } from "./ui/dom";
import { card, setAll } from "./ui/card";
import { Model, type Shared } from "./ui/model";
import { runPage, type RunDescription } from "./ui/picker";
import { styled } from "./ui/styled";
import { changes, fromHash, toHash } from "./io/hash";
import { Reader, sourceOf, type Source } from "./io/source";
import type { PageSpec } from "./io/spec";
import { renderWith } from "./widget";

export interface Mounted {
  models: Model[];
  page: HTMLElement;
  ready: Promise<void>;
  end(): void;
}

const hostIsDark = (): boolean => {
  const body = document.body;
  const root = document.documentElement;
  if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false";
  if (body.dataset.vscodeThemeKind) return body.dataset.vscodeThemeKind.includes("dark");
  if ([root, body].some((el) => el.classList.contains("dark") || el.dataset.theme === "dark")) return true;
  if ([root, body].some((el) => el.classList.contains("light") || el.dataset.theme === "light")) return false;
  return matchMedia("(prefers-color-scheme: dark)").matches;
};

/** Follows the host's light or dark until the reader chooses. */
function darkness(theme: PageSpec["theme"], life: Life): { dark: Signal<boolean>; cycle: () => void } {
  let chosen = theme !== "auto";
  const dark = signal(theme === "auto" ? hostIsDark() : theme === "dark");
  const look = () => {
    if (!chosen) dark.value = hostIsDark();
  };
  const media = matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", look);
  const watcher = new MutationObserver(look);
  for (const el of [document.documentElement, document.body]) watcher.observe(el, { attributes: true, attributeFilter: ["class", "data-theme", "data-jp-theme-light", "data-vscode-theme-kind"] });
  life.add(() => (media.removeEventListener("change", look), watcher.disconnect()));
  return {
    dark,
    cycle: () => {
      chosen = true;
      dark.value = !dark.value;
    },
  };
}

const linkedCopy = (shared: Shared): Shared => ({ ...shared, index: new Map(), hover: signal(null) });

/** Puts the views of a page into an element; numbers come from the source. */
export function mount(el: HTMLElement, spec: PageSpec, source: Source): Mounted {
  if (spec.v !== 1) throw new Error(`this viewer reads payload version 1, got ${spec.v}`);
  const life = new Life();
  const { dark, cycle } = darkness(spec.theme, life);
  const shared: Shared = { index: new Map(), hover: signal(null), dark, arrived: signal(0), asked: spec.theme };
  const reader = new Reader(spec.tensors, source, () => {
    shared.arrived.value++;
  });
  const root = el.shadowRoot ?? el.attachShadow({ mode: "open" });
  const page = h("div", { class: "page" });
  page.style.setProperty("--across", String(spec.across));
  if (spec.views.length > 1) page.classList.add("several");
  root.replaceChildren(page);
  styled(root);
  life.effect(() => {
    page.dataset.theme = dark.value ? "dark" : "light";
  });
  const models = spec.views.map((view) => new Model(view, reader, spec.link ? shared : linkedCopy(shared), spec.link));
  const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
  models.forEach((model) => {
    const slot = h("div", { class: "slot" });
    if (model.spec.height) slot.style.setProperty("--tall", `${model.spec.height}px`);
    page.append(slot);
    measured(life, slot);
    card(model, slot, { reduced, models, cycleTheme: cycle, life });
  });
  life.add(tellHeight(page));
  const ready = reader.load().then(() => {
    page.dataset.ready = "true";
  });
  return { models, page, ready, end: () => (life.end(), root.replaceChildren()) };
}

/** Tells the frame that holds this page how high it is; who listens makes room. */
function tellHeight(page: HTMLElement): () => void {
  if (window.parent === window || typeof ResizeObserver === "undefined") return () => {};
  const tell = () => window.parent.postMessage({ modscope: "height", height: Math.ceil(neededHeight(page)) }, "*");
  const sizes = new ResizeObserver(tell);
  for (const card of page.querySelectorAll(".card")) sizes.observe(card);
  tell();
  return () => sizes.disconnect();
}

/** The height of the page without what pictures took because there was room. */
function neededHeight(page: HTMLElement): number {
  let spare = Infinity;
  for (const plot of page.querySelectorAll<HTMLElement>(".plot")) spare = Math.min(spare, plot.clientHeight - parseFloat(getComputedStyle(plot).minHeight));
  return page.scrollHeight - (Number.isFinite(spare) ? Math.max(0, spare) : 0);
}

/** Keeps the state in the address, where the page has one of its own. */
function keepInHash({ models }: Mounted): void {
  const states = fromHash(location.hash);
  setAll(models, states);
  let timer = 0;
  effect(() => {
    models.forEach((model) => model.touch());
    clearTimeout(timer);
    timer = window.setTimeout(() => history.replaceState(null, "", toHash(models.map((m) => changes(m.snapshot(), m.start)))), 300);
  });
  window.addEventListener("hashchange", () => setAll(models, fromHash(location.hash)));
}

/** Mounts every view of a page that has its description in a script element. */
function boot(): void {
  const run = document.querySelector<HTMLElement>("[data-modscope-run]");
  if (run) runPage(run, JSON.parse(document.getElementById(run.dataset.modscopeRun!)!.textContent!) as RunDescription, mount);
  for (const el of document.querySelectorAll<HTMLElement>("[data-modscope]:not([data-mounted])")) {
    el.dataset.mounted = "";
    const text = document.getElementById(el.dataset.modscope!)?.textContent;
    if (!text) continue;
    try {
      const spec = JSON.parse(text) as PageSpec;
      const mounted = mount(el, spec, sourceOf(spec));
      if (el.dataset.page !== undefined && location.protocol !== "about:") keepInHash(mounted);
      (el as unknown as { modscope: Mounted }).modscope = mounted;
    } catch (error) {
      el.textContent = `This view cannot be shown: ${error instanceof Error ? error.message : error}`;
    }
  }
}

if (typeof document !== "undefined") {
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", boot);
  else boot();
}

export default { render: renderWith(mount) };

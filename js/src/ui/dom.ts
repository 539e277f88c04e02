// Elements in one call, and effects that end with their view.
import { effect } from "@preact/signals-core";

type Child = Node | string | null | undefined | false;
type Props = Record<string, unknown>;

/** An element: attributes, on* listeners, class, and children. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, props: Props = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const el = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) el.addEventListener(key.slice(2), value as EventListener);
    else if (key in el && typeof value !== "string") (el as unknown as Props)[key] = value;
    else el.setAttribute(key, String(value));
  }
  for (const child of children) if (child) el.append(child);
  return el;
}

/** Effects that are ended together. */
export class Life {
  private readonly ends: (() => void)[] = [];

  effect(run: () => void): void {
    this.ends.push(effect(run));
  }

  add(end: () => void): void {
    this.ends.push(end);
  }

  end(): void {
    for (const one of this.ends.splice(0)) one();
  }
}

const ICONS: Record<string, string> = {
  play: "M7 4.5v15l12-7.5z",
  pause: "M8 5v14M16 5v14",
  back: "M15 5l-7 7 7 7",
  forward: "M9 5l7 7-7 7",
  sound: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15 9a4 4 0 0 1 0 6M17.5 6.5a8 8 0 0 1 0 11",
  save: "M12 4v11M7.5 11 12 15.5 16.5 11M5 19.5h14",
  theme: "M12 3.5a8.5 8.5 0 1 0 0 17zM12 3.5a8.5 8.5 0 0 1 0 17",
  pin: "M12 21v-7M7 14h10l-2-3V5h1.5M9 11V5H7.5",
};

export function icon(name: string): HTMLElement {
  const holder = h("span", { class: "icon", "aria-hidden": "true" });
  const filled = name === "play" ? ' fill="currentColor"' : "";
  holder.innerHTML = `<svg viewBox="0 0 24 24" width="16" height="16" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linejoin="round" stroke-linecap="round"><path d="${ICONS[name]}"${filled}/></svg>`;
  return holder;
}

export function setIcon(button: HTMLElement, name: string): void {
  button.replaceChildren(icon(name));
}

export interface Choice<T extends string> {
  value: T;
  text: string;
  hint?: string;
}

/** A select bound to a signal; with `seen` its label is written before it. */
export function choose<T extends string>(life: Life, label: string, choices: Choice<T>[], get: () => T, set: (value: T) => void, seen = false): HTMLElement {
  const select = h("select", { "aria-label": label, onchange: () => set(select.value as T) }, ...choices.map((c) => h("option", { value: c.value }, c.text)));
  life.effect(() => {
    select.value = get();
  });
  return h("label", { class: "choose", title: label }, seen && h("span", {}, label), select);
}

/** A button that is on or off. */
export function toggle(life: Life, text: Child, hint: string, get: () => boolean, set: (on: boolean) => void): HTMLButtonElement {
  const button = h("button", { type: "button", class: "chip", title: hint, "aria-label": typeof text === "string" ? `${text}: ${hint}` : hint, onclick: () => set(!get()) }, text);
  life.effect(() => button.setAttribute("aria-pressed", String(get())));
  return button;
}

/** Milliseconds between two writes into the page while the picture plays: no eye reads faster, and each costs a layout. */
const READABLE = 50;
/** Writes of one step follow each other within this. */
const STEP = 2;

/** What the page says of the picture: written at once, but for the time it plays at most twenty times a second. */
export class Writes {
  private moving = false;
  private last = -READABLE;
  private timer = 0;
  private readonly pending = new Map<object, () => void>();

  put(key: object, write: () => void): void {
    const since = performance.now() - this.last;
    if (this.moving && since >= STEP && since < READABLE) {
      this.pending.set(key, write);
      this.timer ||= window.setTimeout(() => this.flush(), READABLE - since);
      return;
    }
    this.pending.delete(key);
    if (since >= READABLE) this.last += since;
    write();
  }

  /** The picture begins to play, or stops. */
  move(on: boolean): void {
    this.moving = on;
    if (!on) this.flush();
  }

  private flush(): void {
    clearTimeout(this.timer);
    this.timer = 0;
    this.last = performance.now();
    const writes = [...this.pending.values()];
    this.pending.clear();
    for (const write of writes) write();
  }
}

/** An element whose text follows: its one text node is changed, and only when the text is another. */
export function written<E extends HTMLElement>(life: Life, writes: Writes, el: E, get: () => string): E {
  const node = document.createTextNode("");
  el.append(node);
  life.effect(() => {
    const text = get();
    writes.put(node, () => {
      if (node.data !== text) node.data = text;
    });
  });
  return el;
}

const NARROW = 620;
const TINY = 430;

/** Writes the width of an element on it, for its style. */
export function measured(life: Life, el: HTMLElement): void {
  const look = () => {
    const wide = el.clientWidth;
    if (!wide) return;
    el.style.setProperty("--wide", `${wide}px`);
    el.toggleAttribute("data-narrow", wide <= NARROW);
    el.toggleAttribute("data-tiny", wide <= TINY);
  };
  look();
  if (typeof ResizeObserver === "undefined") return;
  const sizes = new ResizeObserver(look);
  sizes.observe(el);
  life.add(() => sizes.disconnect());
}

// The page of a served run: what to look at is picked here, and shown by the viewer below.
import { changes, fromHash, toHash } from "../io/hash";
import { HttpSource, type Source } from "../io/source";
import type { PageSpec, State } from "../io/spec";
import { choose, h, icon, Life, type Choice } from "./dom";
import type { Model } from "./model";
import { styled } from "./styled";

interface Offer {
  group: string;
  name: string;
  positions: string[];
  orders: string[];
}

interface Pick {
  group: string;
  name: string;
  position: string | null;
  order: string | null;
}

interface Step {
  label: string;
  pick: Pick;
  state: Partial<State>;
}

export interface RunDescription {
  title: string;
  notes: string[];
  guide: Step[];
  hasKeys: boolean;
  offers: Offer[];
  epochs: number[];
  pick: Pick;
  spec: PageSpec;
}

interface Mounted {
  models: Model[];
  page: HTMLElement;
  ready: Promise<void>;
  end(): void;
}

type Mount = (el: HTMLElement, spec: PageSpec, source: Source) => Mounted;

const ROLES = ["x", "play", "y", "grid", "with"] as const;

/** Weights open as what they are: the mode is theirs. */
const OWN = ["mode", "with"];

/** What of a state still makes sense for another tensor: indices of axes that both have, roles if all are there. */
function carried(state: State, model: Model): Partial<State> {
  const { dims } = model.spec;
  const index = Object.fromEntries(Object.entries(state.index).filter(([dim, at]) => dims.includes(dim) && at < model.size(dim)));
  const roles = ROLES.every((role) => state[role] === null || dims.includes(state[role]!));
  const rest = Object.fromEntries(Object.entries(state).filter(([key]) => key !== "index" && (roles || !(ROLES as readonly string[]).includes(key))));
  const own = roles ? {} : Object.fromEntries(OWN.map((key) => [key, (model.start as unknown as Record<string, unknown>)[key]]));
  return { ...(rest as Partial<State>), ...own, index, mute: [], hide: [] };
}

class RunPage {
  private pick: Pick;
  private mounted: Mounted | null = null;
  private stop: () => void = () => {};
  private asked = 0;
  private keys: number[] = [];
  private readonly bar = h("nav", { class: "pick", "aria-label": "what is shown" });
  private readonly frame = h("div", { class: "page" }, this.bar);
  private readonly wrong = h("p", { role: "alert" });
  private readonly holder = h("div", { class: "run" });

  constructor(
    private readonly el: HTMLElement,
    private readonly run: RunDescription,
    private readonly mount: Mount,
    private readonly token: string,
  ) {
    this.pick = run.pick;
    const top = h("div");
    const root = top.attachShadow({ mode: "open" });
    root.append(this.frame);
    styled(root);
    el.append(top, this.holder);
    this.show(run.spec, (model) => fromHash(location.hash)[0] ?? model.start);
    if (run.hasKeys) void this.findKeys();
  }

  /** Key frequencies need every pair: they come after the first picture. */
  private async findKeys(): Promise<void> {
    try {
      const answer = await fetch(`/keys.json?${new URLSearchParams([["token", this.token]])}`);
      if (!answer.ok) return;
      this.keys = (await answer.json()) as number[];
      this.giveKeys();
    } catch {
      // The server is gone: the next pick says so.
    }
  }

  private giveKeys(): void {
    if (!this.keys.length || !this.mounted) return;
    for (const model of this.mounted.models) {
      model.spec.keys = this.keys;
      model.shared.arrived.value++;
    }
  }

  private get offer(): Offer {
    return this.run.offers.find((o) => o.group === this.pick.group && o.name === this.pick.name)!;
  }

  private show(spec: PageSpec, state: (model: Model) => Partial<State>): void {
    this.stop();
    this.mounted?.end();
    const fresh = h("div");
    this.holder.replaceChildren(fresh);
    const mounted = this.mount(fresh, spec, new HttpSource(spec.tensors, `?token=${this.token}`));
    const [model] = mounted.models;
    model.restore(state(model));
    this.mounted = mounted;
    (this.el as unknown as { modscope: Mounted }).modscope = mounted;
    const life = new Life();
    this.life = life;
    this.fill(life, model);
    life.effect(() => {
      this.frame.dataset.theme = model.shared.dark.value ? "dark" : "light";
    });
    this.giveKeys();
    let timer = 0;
    life.effect(() => {
      model.touch();
      clearTimeout(timer);
      timer = window.setTimeout(() => this.address(model), 300);
    });
    this.stop = () => (clearTimeout(timer), life.end());
  }

  private life = new Life();

  private fill(life: Life, model: Model): void {
    this.bar.replaceChildren(h("h1", {}, this.run.title), ...this.choices(life, model), this.guide(), this.wrong);
  }

  /** What to look at first. */
  private guide(): HTMLElement {
    const steps = this.run.guide.map((step) => h("button", { type: "button", class: "chip mark", onclick: () => void this.go(step.pick, step.state) }, step.label));
    return h("div", { class: "guide", role: "group", "aria-label": "what to look at" }, ...steps);
  }

  /** Keeps what is shown in the address, so that a reload or a bookmark comes back to it. */
  private address(model: Model): void {
    const words = Object.entries(this.pick).filter(([, value]) => value !== null) as [string, string][];
    const query = new URLSearchParams([["token", this.token], ...words]);
    history.replaceState(null, "", `?${query}${toHash([changes(model.snapshot(), model.start)])}`);
  }

  private choices(life: Life, model: Model): HTMLElement[] {
    const { positions, orders } = this.offer;
    const list: HTMLElement[] = [h("label", { class: "choose" }, h("span", {}, "show"), this.names())];
    if (positions.length) list.push(this.choice(life, "token", "position", positions));
    if (orders.length) list.push(this.choice(life, "order", "order", orders, (text) => `(${text.replace(",", ", ")})`));
    if (this.run.epochs.length > 1) list.push(...this.epochs(life, model));
    return list;
  }

  private names(): HTMLElement {
    const key = (o: { group: string; name: string }) => `${o.group}/${o.name}`;
    const select = h("select", { "aria-label": "activation or weight", onchange: () => this.turnTo(select.value) });
    for (const group of new Set(this.run.offers.map((o) => o.group))) {
      const options = this.run.offers.filter((o) => o.group === group).map((o) => h("option", { value: key(o) }, o.name));
      select.append(h("optgroup", { label: group }, ...options));
    }
    select.value = key(this.pick);
    return select;
  }

  private turnTo(key: string): void {
    const offer = this.run.offers.find((o) => `${o.group}/${o.name}` === key)!;
    const same = (known: string | null, choices: string[]) => (known !== null && choices.includes(known) ? known : (choices[0] ?? null));
    void this.go({ group: offer.group, name: offer.name, position: same(this.pick.position, offer.positions), order: same(this.pick.order, offer.orders) });
  }

  private choice(life: Life, text: string, word: "position" | "order", values: string[], say: (text: string) => string = (t) => t): HTMLElement {
    const options: Choice<string>[] = values.map((value) => ({ value, text: say(value) }));
    const select = choose(life, word, options, () => this.pick[word] ?? values[0], (value) => void this.go({ ...this.pick, [word]: value }));
    select.prepend(h("span", {}, text));
    return select;
  }

  private epochs(life: Life, model: Model): HTMLElement[] {
    const at = model.index.epoch;
    const options = this.run.epochs.map((epoch, i) => ({ value: String(i), text: String(epoch) }));
    const select = choose(life, "epoch", options, () => String(at.value), (value) => model.set("epoch", Number(value)));
    const step = (by: number, text: string, name: string) => h("button", { type: "button", class: "tap", "aria-label": name, title: name, onclick: () => model.set("epoch", at.value + by) }, icon(text));
    select.prepend(h("span", {}, "epoch"));
    return [h("span", { class: "pair" }, select, step(-1, "back", "epoch before"), step(1, "forward", "next epoch"))];
  }

  /** Shows another pick; an answer that comes after the next question is dropped. */
  private async go(pick: Pick, state?: Partial<State>): Promise<void> {
    const mine = ++this.asked;
    const words = Object.entries(pick).filter(([, value]) => value !== null) as [string, string][];
    try {
      const answer = await fetch(`/spec.json?${new URLSearchParams([["token", this.token], ...words])}`);
      if (!answer.ok) throw new Error(await answer.text());
      const spec = (await answer.json()) as PageSpec;
      if (mine !== this.asked) return;
      const before = this.mounted!.models[0].snapshot();
      this.pick = pick;
      this.wrong.textContent = "";
      this.show(spec, (model) => ({ ...carried(before, model), ...(state ? { x: model.start.x, play: model.start.play, y: model.start.y, ...state } : {}) }));
    } catch (error) {
      // What is shown stays, and the choices say so.
      this.fill(this.life, this.mounted!.models[0]);
      this.wrong.textContent = error instanceof TypeError ? "modscope view no longer answers" : String((error as Error).message);
    }
  }
}

/** Puts the picker and the viewer of a served run into an element. */
export function runPage(el: HTMLElement, run: RunDescription, mount: Mount): void {
  const token = new URLSearchParams(location.search).get("token") ?? "";
  new RunPage(el, run, mount, token);
}

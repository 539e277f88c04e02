// anywidget's entry: the same page in an output cell, with a kernel that sees it, moves it and sends its numbers.
import { effect } from "@preact/signals-core";
import { size } from "./core/tensor";
import { CommSource, type Channel, type Source } from "./io/source";
import type { PageSpec, State } from "./io/spec";
import { setAll } from "./ui/card";
import type { Model } from "./ui/model";
import { readout } from "./ui/readout";

interface WidgetModel extends Channel {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(event: string, heard: (...args: never[]) => void): void;
  off(event: string, heard?: (...args: never[]) => void): void;
}

interface Mounted {
  models: Model[];
  end(): void;
}

const THROTTLE = 60;

/** Small tensors: float32 one after the other in one buffer, `src` is the first byte. */
const held = (spec: PageSpec, data: DataView): Source => ({
  async whole(t) {
    const { src, shape } = spec.tensors[t];
    const from = data.byteOffset + Number(src);
    return new Float32Array(data.buffer.slice(from, from + 4 * size(shape)) as ArrayBuffer);
  },
});

/** Numbers come whole in `data`, or on request; `state`, `index`, `mode` and `x` go both ways, `hover` to Python. */
export const renderWith =
  (mount: (el: HTMLElement, spec: PageSpec, source: Source) => Mounted) =>
  ({ model, el }: { model: WidgetModel; el: HTMLElement }): (() => void) => {
    const spec = model.get("spec") as PageSpec;
    const data = model.get("data") as DataView;
    el.style.height = `${model.get("height")}px`;
    const mounted = mount(el, spec, data.byteLength ? held(spec, data) : new CommSource(model));
    const { models } = mounted;
    const [first] = models;
    const now: Record<string, () => unknown> = {
      state: () => models.map((m) => m.snapshot()),
      index: () => first.snapshot().index,
      mode: () => first.state.mode.peek(),
      x: () => first.state.x.peek(),
      hover: () => {
        const hover = first.hover.peek();
        return hover && { ...hover, text: readout(first, hover) };
      },
    };
    const same = (name: string) => JSON.stringify(model.get(name)) === JSON.stringify(now[name]());
    const take: Record<string, (value: never) => void> = {
      state: (list: Partial<State>[]) => setAll(models, list),
      index: (index: State["index"]) => first.restore({ index }),
      mode: (mode: State["mode"]) => first.restore({ mode }),
      x: (dim: string) => first.assign("x", dim),
    };
    let timer = 0;
    const send = () => {
      timer = 0;
      const news = Object.keys(now).filter((name) => !same(name));
      for (const name of news) model.set(name, now[name]());
      if (news.length) model.save_changes();
    };
    const ends = Object.entries(take).map(([name, act]) => {
      const heard = () => {
        if (!same(name)) act(model.get(name) as never);
      };
      model.on(`change:${name}`, heard);
      return () => model.off(`change:${name}`, heard);
    });
    setAll(models, model.get("state") as Partial<State>[]);
    ends.push(
      effect(() => {
        models.forEach((m) => m.touch());
        timer ||= window.setTimeout(send, THROTTLE);
      }),
    );
    return () => {
      for (const end of ends) end();
      clearTimeout(timer);
      mounted.end();
    };
  };

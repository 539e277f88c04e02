// The same pictures without a browser: Python lends the numbers, asks for display lists, SVG and CSV.
import { signal } from "@preact/signals-core";
import { exportedSize } from "./ui/sizes";
import { csv, tableOf } from "./ui/data";
import { captioned } from "./ui/frames";
import { Model, type Shared } from "./ui/model";
import { sceneOf } from "./ui/scene";
import type { Frame } from "./draw/list";
import { svg } from "./draw/svg";
import { Reader } from "./io/source";
import type { PageSpec } from "./io/spec";

// What a browser has and a bare engine has not.
const missing = globalThis as unknown as Record<string, unknown>;
missing.performance ??= { now: () => Date.now() };

class Still {
  readonly rooms: ArrayBuffer[] = [];
  readonly images: ArrayBuffer[] = [];
  private models: Model[] = [];

  /** Room for the numbers of the next tensor, filled by Python. */
  room(bytes: number): ArrayBuffer {
    const made = new ArrayBuffer(bytes);
    this.rooms.push(made);
    return made;
  }

  open(text: string): void {
    const spec = JSON.parse(text) as PageSpec;
    const shared: Shared = { index: new Map(), hover: signal(null), dark: signal(spec.theme === "dark"), arrived: signal(0), asked: spec.theme };
    const whole = (t: number) => Promise.resolve(new Float32Array(this.rooms[t]));
    const reader = new Reader(spec.tensors, { whole }, () => shared.arrived.value++);
    const own = () => (spec.link ? shared : { ...shared, index: new Map() });
    this.models = spec.views.map((view) => new Model(view, reader, own(), spec.link));
    for (const model of this.models) model.exporting = true;
    void reader.load();
  }

  move(index: Record<string, number>): void {
    for (const model of this.models) model.restore({ index });
  }

  private frame(n: number, width: number): Frame {
    const model = this.models[n];
    return captioned(model, sceneOf(model, width, exportedSize(model.state.mode.value, width)));
  }

  /** For print: without title, caption and notes, which are the text's there; height 0 chooses. */
  bare(n: number, width: number, height: number): string {
    const model = this.models[n];
    return this.written(n, sceneOf(model, width, height || exportedSize(model.state.mode.value, width)));
  }

  /** The display list as JSON; the pixels of its pictures are in `images`, in order. */
  list(n: number, width: number): string {
    return this.written(n, this.frame(n, width));
  }

  private written(n: number, frame: Frame): string {
    this.images.length = 0;
    const { theme } = this.models[n];
    return JSON.stringify({ width: frame.width, height: frame.height, ground: theme.ground, items: frame.items }, (key, value) => {
      if (key === "rgba") return this.images.push((value as Uint8ClampedArray).slice().buffer) - 1;
      return ArrayBuffer.isView(value) ? Array.from(value as Float64Array) : value;
    });
  }

  svg(n: number, width: number, prefix: string): string {
    const model = this.models[n];
    return svg(this.frame(n, width), model.theme.ground, [model.caption(), model.message()].filter(Boolean).join(" "), prefix);
  }

  csv(n: number): string {
    return csv(tableOf(this.models[n]));
  }
}

missing.still = new Still();

// Where numbers come from: blocks in the page, files beside it, a kernel, a server. One interface.
import { isBlock, maskOf, size, slice, type TensorMeta } from "../core/tensor";
import { fromText, gunzip, values } from "./decode";
import type { PageSpec } from "./spec";

export interface Source {
  /** The whole tensor, where it comes whole. */
  whole?(t: number): Promise<Float32Array>;
  /** Only the values over the axes `keep`, in that order, the others at their index. */
  read?(t: number, keep: number[], index: number[]): Promise<Float32Array>;
}

export class InlineSource implements Source {
  constructor(
    private readonly metas: TensorMeta[],
    private readonly block: (src: string) => string | null,
  ) {}

  async whole(t: number): Promise<Float32Array> {
    const meta = this.metas[t];
    const text = this.block(meta.src);
    if (text === null) throw new Error(`the page has no block ${meta.src} for ${meta.name}`);
    return values(await gunzip(fromText(text.trim())), meta);
  }
}

async function fetched(address: string): Promise<Uint8Array> {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address.split("?")[0]}: ${answer.status} ${answer.statusText} ${(await answer.text()).slice(0, 300)}`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** Files beside the page, whole. */
export class FolderSource implements Source {
  constructor(private readonly metas: TensorMeta[]) {}

  async whole(t: number): Promise<Float32Array> {
    return values(await gunzip(await fetched(this.metas[t].src)), this.metas[t]);
  }
}

/** A server that answers `base/t/<src>?keep=1,2&index=0,0,0` with little-endian float32. */
export class HttpSource implements Source {
  constructor(
    private readonly metas: TensorMeta[],
    private readonly base: string,
  ) {}

  async read(t: number, keep: number[], index: number[]): Promise<Float32Array> {
    const query = `keep=${keep.join(",")}&index=${index.join(",")}`;
    const join = this.base.includes("?") ? this.base.replace("?", `/t/${this.metas[t].src}?${query}&`) : `${this.base}/t/${this.metas[t].src}?${query}`;
    return new Float32Array((await fetched(join)).buffer);
  }
}

export interface Channel {
  send(message: unknown): void;
  on(event: "msg:custom", heard: (message: { id?: number; error?: string }, buffers: DataView[]) => void): void;
}

/** A kernel: asks {kind: "read", id, t, keep, index}, hears {id} with one buffer of float32. */
export class CommSource implements Source {
  // Two outputs of one widget hear each other's answers: their numbers must differ.
  private next = Math.floor(Math.random() * 2 ** 40);
  private readonly waiting = new Map<number, { done: (v: Float32Array) => void; fail: (e: Error) => void }>();

  constructor(private readonly channel: Channel) {
    channel.on("msg:custom", (message, buffers) => {
      const waiter = message.id === undefined ? undefined : this.waiting.get(message.id);
      if (!waiter) return;
      this.waiting.delete(message.id!);
      if (message.error) return waiter.fail(new Error(message.error));
      const { buffer, byteOffset, byteLength } = buffers[0];
      waiter.done(new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer));
    });
  }

  read(t: number, keep: number[], index: number[]): Promise<Float32Array> {
    const id = this.next++;
    return new Promise((done, fail) => {
      this.waiting.set(id, { done, fail });
      this.channel.send({ kind: "read", id, t, keep, index });
    });
  }
}

export function sourceOf(spec: PageSpec): Source {
  if (spec.source === "folder") return new FolderSource(spec.tensors);
  if (spec.source === "http") return new HttpSource(spec.tensors, spec.base ?? "");
  return new InlineSource(spec.tensors, (src) => document.getElementById(src)?.textContent ?? null);
}

const PANE_BYTES = 1 << 20;
const CACHE_BYTES = 64 << 20;

interface Pane {
  keep: number[];
  values: Float32Array | null;
  error: string | null;
}

/** Slices at once where they are here, and on their way otherwise; panes go along the play axis. */
export class Reader {
  private readonly arrays: (Float32Array | null)[];
  private readonly masks: (Uint8Array | null)[];
  private readonly panes = new Map<string, Pane>();
  private held = 0;
  error: string | null = null;

  constructor(
    readonly metas: TensorMeta[],
    private readonly source: Source,
    private readonly arrived: () => void,
  ) {
    this.arrays = metas.map(() => null);
    this.masks = metas.map(() => null);
  }

  /** Loads every tensor that comes whole. */
  async load(): Promise<void> {
    const { source } = this;
    if (!source.whole) return;
    await Promise.all(
      this.metas.map(async (_, t) => {
        try {
          const got = await source.whole!(t);
          if (this.metas[t].masked) this.masks[t] = maskOf(got);
          this.arrays[t] = got;
        } catch (error) {
          this.error = error instanceof Error ? error.message : String(error);
        }
        this.arrived();
      }),
    );
  }

  get streams(): boolean {
    return !this.source.whole;
  }

  whole(t: number): Float32Array | null {
    return this.arrays[t];
  }

  /** Which values of a slice are masked; null where none of the tensor is. */
  mask(t: number, keep: number[], index: number[]): Uint8Array | null {
    const here = this.masks[t];
    return here && Uint8Array.from(slice(here, this.metas[t].shape, keep, index));
  }

  /** Whether a slice costs no copy. */
  isBlock(t: number, keep: number[]): boolean {
    return this.arrays[t] !== null && isBlock(this.metas[t].shape, keep);
  }

  /** The slice, or null while it is on its way. `ahead` is an axis to fetch along if that is not too much. */
  slice(t: number, keep: number[], index: number[], ahead: number | null = null): Float32Array | null {
    const here = this.arrays[t];
    if (here) return slice(here, this.metas[t].shape, keep, index);
    if (!this.source.read) return null;
    const { shape } = this.metas[t];
    const along = ahead !== null && !keep.includes(ahead) && 4 * size([ahead, ...keep].map((axis) => shape[axis])) <= PANE_BYTES;
    const wide = along ? [ahead, ...keep] : keep;
    const pane = this.pane(t, wide, index);
    if (ahead !== null && !along && !keep.includes(ahead)) this.prefetch(t, keep, index, ahead);
    this.error = pane.error;
    if (!pane.values) return null;
    if (!along) return pane.values;
    const length = size(keep.map((axis) => shape[axis]));
    return pane.values.subarray(index[ahead] * length, (index[ahead] + 1) * length);
  }

  private prefetch(t: number, keep: number[], index: number[], ahead: number): void {
    for (let by = 1; by <= 3; by++) {
      const next = [...index];
      next[ahead] = (index[ahead] + by) % this.metas[t].shape[ahead];
      this.pane(t, keep, next);
    }
  }

  private pane(t: number, keep: number[], index: number[]): Pane {
    const fixed = index.map((i, axis) => (keep.includes(axis) ? 0 : i));
    const key = `${t}/${keep}/${fixed}`;
    const known = this.panes.get(key);
    if (known) {
      this.panes.delete(key);
      this.panes.set(key, known);
      return known;
    }
    const pane: Pane = { keep, values: null, error: null };
    this.panes.set(key, pane);
    this.source.read!(t, keep, fixed).then(
      (got) => {
        pane.values = got;
        this.held += got.byteLength;
        this.shrink();
        this.arrived();
      },
      (error: Error) => {
        pane.error = error.message;
        this.arrived();
      },
    );
    return pane;
  }

  private shrink(): void {
    for (const [key, pane] of this.panes) {
      if (this.held <= CACHE_BYTES) return;
      if (!pane.values) continue;
      this.held -= pane.values.byteLength;
      this.panes.delete(key);
    }
  }
}

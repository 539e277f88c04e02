// What comes from the server: how training stands (pushed), and pictures (asked for one at a time).

export interface Offer {
  hook: string;
  axes: string[];
  sizes: number[];
  p: number;
}

export interface Description {
  title: string;
  p: number;
  operation: string;
  offers: Offer[];
  orders: string[];
  steered: boolean;
  folder: string;
}

export interface Change {
  step: number;
  kind: string;
  value: number;
}

/** step, train loss, train accuracy, test loss, test accuracy */
export type Row = [number, number, number, number | null, number | null];

export interface Standing {
  step: number;
  finished: string;
  begun_anew: number[];
  pace: number;
  rates: [number, number];
  from: number;
  count: number;
  rows: Row[];
  events: Change[];
  paused: boolean;
  serving: boolean;
}

export interface Picture {
  step: number;
  hook: string;
  feature: number[];
  order: string;
  row: number | null;
  arrays: Record<string, Float32Array>;
  shape: number[];
}

const token = new URLSearchParams(location.search).get("token") ?? "";

export function address(path: string, query: Record<string, string> = {}): string {
  return `${path}?${new URLSearchParams({ ...query, token })}`;
}

export async function post(path: string, body: object): Promise<string> {
  try {
    const answer = await fetch(address(path), { method: "POST", body: JSON.stringify(body) });
    return answer.ok ? "" : await answer.text();
  } catch {
    return "the program that trains does not answer";
  }
}

export function unpacked(bytes: ArrayBuffer): Picture {
  const length = new DataView(bytes).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  const arrays: Record<string, Float32Array> = {};
  let at = 4 + length;
  let shape: number[] = [];
  for (const [name, sizes] of head.arrays as [string, number[]][]) {
    const count = sizes.reduce((a, b) => a * b, 1);
    arrays[name] = new Float32Array(bytes, at, count);
    at += 4 * count;
    if (name === "picture") shape = sizes;
  }
  return { ...head, arrays, shape };
}

/** Asks for one picture after another; a new wish drops the one under way. */
export class Pictures {
  private asking: AbortController | null = null;
  private last = -1;
  private stopped = true;
  constructor(
    private wish: () => Record<string, string> | null,
    private show: (picture: Picture) => void,
    private said: (trouble: string) => void,
  ) {}

  start(): void {
    if (!this.stopped) return;
    this.stopped = false;
    void this.go();
  }

  stop(): void {
    this.stopped = true;
    this.asking?.abort();
  }

  again(): void {
    this.last = -1;
    this.asking?.abort();
  }

  private async go(): Promise<void> {
    while (!this.stopped) {
      const wish = this.wish();
      if (wish === null) {
        await new Promise((on) => setTimeout(on, 200));
        continue;
      }
      this.asking = new AbortController();
      try {
        const answer = await fetch(address("/frame", { ...wish, after: String(this.last) }), { signal: this.asking.signal });
        if (answer.status === 200) {
          const picture = unpacked(await answer.arrayBuffer());
          this.last = picture.step;
          this.said("");
          // The next is asked for when this one is on the screen: a slow browser leaves pictures out.
          await new Promise((on) => requestAnimationFrame(on));
          if (!this.stopped) this.show(picture);
          if (wish.epoch !== undefined) await this.changed();
        } else if (answer.status !== 204) {
          this.said(await answer.text());
          await new Promise((on) => setTimeout(on, 1000));
        }
      } catch {
        if (!this.asking.signal.aborted) await new Promise((on) => setTimeout(on, 1000));
      }
    }
  }

  /** Waits until another picture is wished for: one of a kept epoch does not move. */
  private async changed(): Promise<void> {
    const signal = this.asking!.signal;
    await new Promise<void>((on) => (signal.aborted ? on() : signal.addEventListener("abort", () => on(), { once: true })));
  }
}

export function stream(told: (standing: Standing) => void, lost: () => void): EventSource {
  const source = new EventSource(address("/stream"));
  source.onmessage = (message) => {
    const standing = JSON.parse(message.data) as Standing;
    told(standing);
    if (!standing.serving) source.close();
  };
  source.onerror = lost;
  return source;
}

// Work that takes longer than a frame: done in slices of a few milliseconds, so that nothing freezes meanwhile.

const SLICE = 10;
/** Milliseconds between two reports of how far it is. */
const TOLD = 120;

interface Job {
  key: string;
  steps: Generator<number, unknown, void>;
  share: number;
  value: unknown;
  done: boolean;
}

export type Progress<T> = { done: true; value: T } | { done: false; share: number };

export class Jobs {
  private readonly known = new Map<string, Job>();
  private timer: ReturnType<typeof setTimeout> | null = null;

  constructor(private readonly wake: () => void) {}

  /** The value for a name and key, or how far it is; `atOnce` goes on to the end. */
  run<T>(name: string, key: string, make: () => Generator<number, T, void>, atOnce: boolean): Progress<T> {
    let job = this.known.get(name);
    if (job?.key !== key) {
      job = { key, steps: make(), share: 0, value: null, done: false };
      this.known.set(name, job);
    }
    advance(job, atOnce ? Infinity : SLICE);
    if (job.done) return { done: true, value: job.value as T };
    this.timer ??= setTimeout(() => this.go(performance.now()));
    return { done: false, share: job.share };
  }

  /** Slices with a breath between them; the picture is told now and then, and at the end. */
  private go(told: number): void {
    this.timer = null;
    const open = [...this.known.values()].filter((job) => !job.done);
    for (const job of open) advance(job, SLICE / open.length);
    const now = performance.now();
    const finished = open.some((job) => job.done);
    const due = finished || now - told > TOLD;
    if (open.some((job) => !job.done)) this.timer = setTimeout(() => this.go(due ? now : told));
    if (due) this.wake();
  }

  end(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.known.clear();
  }
}

function advance(job: Job, milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (!job.done && performance.now() < end) {
    const step = job.steps.next();
    if (step.done) Object.assign(job, { done: true, value: step.value });
    else job.share = step.value;
  }
}

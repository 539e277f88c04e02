// Work that takes longer than a frame: done in slices of a few milliseconds, so that nothing freezes meanwhile.

const SLICE = 7;

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

  /** The value for a name and key, or how far it is; `at once` goes on to the end. */
  run<T>(name: string, key: string, make: () => Generator<number, T, void>, atOnce: boolean): Progress<T> {
    let job = this.known.get(name);
    if (job?.key !== key) {
      job = { key, steps: make(), share: 0, value: null, done: false };
      this.known.set(name, job);
    }
    const end = performance.now() + SLICE;
    while (!job.done && (atOnce || performance.now() < end)) {
      const step = job.steps.next();
      if (step.done) Object.assign(job, { done: true, value: step.value });
      else job.share = step.value;
    }
    if (job.done) return { done: true, value: job.value as T };
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.wake();
    });
    return { done: false, share: job.share };
  }

  end(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.known.clear();
  }
}

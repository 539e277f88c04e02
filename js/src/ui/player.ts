// Playing: moves the play axis with the clock.
import { batch, signal } from "@preact/signals-core";
import { step2, type Place } from "../core/walk";
import type { Writes } from "./dom";
import type { Model } from "./model";

/** Below this many steps a second no index is skipped. */
const EVERY_STEP = 30;
const CALM = 2;

export class Player {
  readonly playing = signal(false);
  readonly direction = signal<1 | -1>(1);
  readonly rate = signal("");
  private request = 0;
  private last = 0;
  private due = 0;
  private frames: number[] = [];
  private asked = false;

  constructor(
    private readonly model: Model,
    private readonly reduced: boolean,
    private readonly writes: Writes,
  ) {}

  /** The reader chose a speed: the calm one for reduced motion no longer holds. */
  ask(): void {
    this.asked = true;
  }

  get stepsPerSecond(): number {
    const { play, seconds } = this.model.state;
    const steps = play.value ? this.model.size(play.value) / Math.max(0.05, seconds.value) : 0;
    return this.reduced && !this.asked ? Math.min(CALM, steps) : steps;
  }

  toggle(direction: 1 | -1 = this.direction.value): void {
    const { play } = this.model.state;
    if (!play.value || (this.playing.value && direction === this.direction.value)) return this.stop();
    this.direction.value = direction;
    const at = this.model.index[play.value];
    const end = this.model.size(play.value) - 1;
    if (this.model.state.loop.value === "once" && at.value === (direction > 0 ? end : 0)) at.value = direction > 0 ? 0 : end;
    if (this.playing.value) return;
    this.playing.value = true;
    this.writes.move(true);
    this.last = performance.now();
    this.due = 0;
    this.frames = [];
    this.request = requestAnimationFrame(this.tick);
  }

  stop(): void {
    cancelAnimationFrame(this.request);
    this.playing.value = false;
    this.writes.move(false);
    this.rate.value = "";
  }

  /** One step of the play axis (and of the second one, as chosen); false at the end. */
  step(by: 1 | -1): boolean {
    const { play, with: second, walk, loop } = this.model.state;
    if (!play.value) return false;
    const first = this.model.index[play.value];
    const other = second.value && second.value !== play.value ? second.value : null;
    const pair: [number, number] = other ? [this.model.index[other].value, this.model.size(other)] : [0, 1];
    const next = step2([first.value, this.model.size(play.value)], pair, by, loop.value, other ? walk.value : "single");
    this.remember();
    batch(() => {
      first.value = next.first.index;
      if (other) this.model.index[other].value = next.second;
    });
    return this.turn(next.first);
  }

  private turn(place: Place): boolean {
    if (this.playing.value) this.direction.value = place.direction;
    return !place.done;
  }

  /** Keeps the last three slices for the trail. */
  private remember(): void {
    const { model } = this;
    if (!model.state.trail.value) {
      model.trail.length = 0;
      return;
    }
    const lines = model.lines();
    if (!lines) return;
    model.trail.unshift(lines.map((line) => ({ ...line, values: line.values.slice() })));
    model.trail.length = Math.min(3, model.trail.length);
  }

  private readonly tick = (now: number): void => {
    const rate = this.stepsPerSecond;
    this.due += ((now - this.last) / 1000) * rate;
    this.last = now;
    let steps = Math.floor(this.due);
    if (rate <= EVERY_STEP && steps > 1) {
      steps = 1;
      this.due = 1;
    }
    this.due -= steps;
    for (let i = 0; i < steps; i++) {
      if (!this.step(this.direction.value)) return this.stop();
    }
    this.frames.push(now);
    while (this.frames[0] < now - 1000) this.frames.shift();
    const fps = this.frames.length > 8 ? Math.round((1000 * (this.frames.length - 1)) / (now - this.frames[0])) : 0;
    const text = fps ? `${fps} fps · ${rate <= fps ? "every step" : "skipping"}` : "";
    if (text !== this.rate.value && this.frames.length % 15 === 0) this.rate.value = text;
    this.request = requestAnimationFrame(this.tick);
  };
}

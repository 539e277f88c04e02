// The wave as sound: its samples, looped, are one period of a tone; frequency k is the k-th harmonic.
import { effect, signal } from "@preact/signals-core";
import { phasors } from "../core/dft";
import type { Model } from "./model";

const FUNDAMENTAL = 20;

export class Sound {
  readonly on = signal(false);
  private context: AudioContext | null = null;
  private oscillator: OscillatorNode | null = null;
  private gain: GainNode | null = null;
  private follow: (() => void) | null = null;

  constructor(private readonly model: Model) {}

  toggle(): void {
    if (this.on.value) return this.stop();
    this.context = new AudioContext();
    this.gain = this.context.createGain();
    this.gain.gain.value = 0;
    this.oscillator = this.context.createOscillator();
    this.oscillator.frequency.value = FUNDAMENTAL;
    this.oscillator.connect(this.gain).connect(this.context.destination);
    this.oscillator.start();
    this.on.value = true;
    this.follow = effect(() => this.tune());
  }

  private tune(): void {
    const line = this.model.lines()?.[0];
    if (!line || !this.context || !this.oscillator || !this.gain) return;
    const c = phasors(this.model.heard(line.values).values);
    const [real, imag] = [Float32Array.from(c.re), Float32Array.from(c.im, (v) => -v)];
    real[0] = 0;
    this.oscillator.setPeriodicWave(this.context.createPeriodicWave(real, imag));
    this.gain.gain.setTargetAtTime(0.12, this.context.currentTime, 0.03);
  }

  stop(): void {
    this.follow?.();
    this.follow = null;
    this.oscillator?.stop();
    void this.context?.close();
    this.context = null;
    this.on.value = false;
  }
}

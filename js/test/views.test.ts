import assert from "node:assert/strict";
import { test } from "node:test";
import { gunzipSync, gzipSync, inflateSync } from "node:zlib";
import { THEMES, colourScale, pixels, rampOf } from "../src/core/colour";
import { phasors } from "../src/core/dft";
import type { Frame, Item } from "../src/draw/list";
import { png } from "../src/draw/png";
import { svg } from "../src/draw/svg";
import { fromText, gunzip, values } from "../src/io/decode";
import { changes, fits, fromHash, pythonCall, toHash } from "../src/io/hash";
import { CommSource, Reader, type Source } from "../src/io/source";
import type { State } from "../src/io/spec";
import { columnsFor, multiplesFrame, ridgeFrame } from "../src/view/multiples";
import { heatFrame, planeFrame } from "../src/view/heatmap";
import { spectrumFrame, spectrumRange } from "../src/view/spectrum";
import { curve, placed, valueAt, waveFrame, type WaveScene } from "../src/view/wave";
import { csv, npy } from "../src/ui/data";

const theme = THEMES.light;
const flat = (items: Item[]): Item[] => items.flatMap((i) => (i.t === "clip" ? [i, ...flat(i.items)] : [i]));
const texts = (f: Frame) => flat(f.items).flatMap((i) => (i.t === "text" ? [i.text] : []));
const of = <T extends Item["t"]>(f: Frame, t: T) => flat(f.items).filter((i): i is Extract<Item, { t: T }> => i.t === t);
const wave = Float32Array.from({ length: 11 }, (_, n) => Math.cos((2 * Math.PI * 3 * n) / 11));
const series = { name: "one", colour: "#123456", dash: [], values: wave };
const scene: WaveScene = {
  width: 600, height: 300, theme, n: 11, series: [series], ghosts: [], y: [-1.1, 1.1], xName: "a", yName: "x",
  centre: null, symmetry: [4, 9.5], marks: [{ x: 4, label: "c/2" }, { x: 4, label: "a" }, { x: -1.5, label: "q" }], cursor: null, style: "joins", notes: [],
};

test("a wave passes through its samples, marks on one place are joined and wrap", () => {
  const f = waveFrame(scene);
  const { box, x, y } = f.panes[0];
  const line = of(f, "line").find((l) => l.stroke === "#123456")!;
  const px = (n: number) => box.x + ((n - x[0]) / (x[1] - x[0])) * box.w;
  const py = (v: number) => box.y + (1 - (v - y[0]) / (y[1] - y[0])) * box.h;
  for (let n = 0; n < 11; n++) {
    assert.ok(Math.abs(line.xs[n] - px(n)) < 1e-6);
    assert.ok(Math.abs(line.ys[n] - py(wave[n])) < 1e-4);
  }
  assert.ok(texts(f).includes("c/2, a"));
  const q = of(f, "text").find((t) => t.text === "q")!;
  assert.ok(Math.abs(q.x - px(9.5)) < 1e-6);
});

test("gaps break the line", () => {
  const gap = wave.slice();
  gap[5] = NaN;
  const f = waveFrame({ ...scene, series: [{ ...series, values: gap }], style: "curve" });
  const line = of(f, "line").find((l) => l.stroke === "#123456")!;
  assert.ok(Number.isNaN(line.ys[5]));
});

test("the band-limited curve goes through every sample, for odd and even lengths", () => {
  for (const n of [2, 3, 8, 11]) {
    const x = Array.from({ length: n }, (_, i) => Math.sin(i * i + 1));
    const c = curve(phasors(x));
    for (let i = 0; i < n; i++) {
      const at = c.xs.findIndex((v) => v === i);
      assert.ok(Math.abs(c.ys[at] - x[i]) < 1e-9, `${n}: ${c.ys[at]} is not ${x[i]}`);
    }
  }
});

test("recentred, c/2 stands in the middle and every place is drawn once", () => {
  assert.equal(placed(4, 11, 4), 0);
  assert.equal(placed(4 + 5.5, 11, 4), -5.5);
  const f = waveFrame({ ...scene, centre: 4 });
  const line = of(f, "line").find((l) => l.stroke === "#123456")!;
  assert.equal(line.xs.length, 11);
  for (let i = 1; i < 11; i++) assert.ok(line.xs[i] > line.xs[i - 1]);
  assert.ok(texts(f).some((t) => t.startsWith("a − ")));
});

test("values between samples wrap", () => {
  assert.ok(Math.abs(valueAt(wave, 10.5, "curve") - Math.cos((2 * Math.PI * 3 * 10.5) / 11)) < 1e-6);
  assert.ok(Math.abs(valueAt(wave, 10.5, "joins") - (wave[10] + wave[0]) / 2) < 1e-6);
});

test("several lines get direct labels, kept apart", () => {
  const f = waveFrame({ ...scene, series: [series, { ...series, name: "two" }, { ...series, name: "three" }] });
  const at = of(f, "text").filter((t) => ["one", "two", "three"].includes(t.text)).map((t) => t.y).sort((a, b) => a - b);
  assert.equal(at.length, 3);
  assert.ok(at[1] - at[0] >= 13.99 && at[2] - at[1] >= 13.99);
});

const spectral = { width: 600, height: 300, theme, p: 113, quantity: "amplitude" as const, keys: [14, 35, 41, 42, 52], sticks: true, muted: new Set<number>(), hover: null, name: "k", notes: [] };
const chord = Float32Array.from({ length: 113 }, (_, n) => Math.cos((2 * Math.PI * 14 * n) / 113) + 0.5 * Math.cos((2 * Math.PI * 42 * n) / 113) + 9);
const voice = { name: "v", colour: "#abcdef", dash: [], phasors: phasors(chord) };

test("bars are as high as the amplitudes, DC that leaves the picture is marked", () => {
  const y = spectrumRange([voice.phasors], "amplitude");
  assert.ok(y[1] < 1.2, "DC does not set the range");
  const f = spectrumFrame({ ...spectral, voices: [voice], y });
  const bars = of(f, "rect").filter((r) => r.fill === "#abcdef");
  assert.equal(bars.length, 57);
  assert.ok(Math.abs(bars[42].h / bars[14].h - 0.5) < 1e-5);
  assert.ok(texts(f).includes("14") && texts(f).includes("2×35"));
});

test("muted bars are hollow", () => {
  const f = spectrumFrame({ ...spectral, voices: [voice], y: [0, 1], muted: new Set([14]) });
  assert.equal(of(f, "rect").filter((r) => r.fill === "#abcdef").length, 56);
});

test("every quantity draws without a broken number", () => {
  for (const quantity of ["amplitude", "power", "db", "phase", "cossin", "share"] as const) {
    const f = spectrumFrame({ ...spectral, quantity, voices: [voice, voice], y: spectrumRange([voice.phasors], quantity) });
    assert.ok(!svg(f, "#fff", "t").includes("NaN"), quantity);
  }
});

const picture = Float32Array.from({ length: 35 }, (_, i) => i - 17);
const heat = { width: 500, height: 400, theme, values: picture, rows: 5, columns: 7, range: { lo: -17, hi: 17 }, cyclic: false, xName: "a", yName: "c", cross: [2, 3] as [number, number], cuts: true, barTitle: "this slice", notes: [] };

test("cells are square, colours centred at zero, clipped cells counted", () => {
  const f = heatFrame(heat);
  const { box } = f.panes[0];
  assert.ok(Math.abs(box.w / 7 - box.h / 5) < 1e-9);
  assert.deepEqual(colourScale(-2, 5), { ramp: "diverging", lo: -5, hi: 5 });
  assert.deepEqual(colourScale(0, 5), { ramp: "sequential", lo: 0, hi: 5 });
  const { rgba } = pixels([0, NaN], colourScale(-2, 5), rampOf("diverging", false), 2);
  assert.ok(rgba[0] > 240 && rgba[1] > 240 && rgba[2] > 240);
  assert.deepEqual([...rgba.subarray(4, 8)], [150, 150, 150, 255], "NaN has a colour of its own");
  assert.equal(pixels([NaN], colourScale(0, 1), rampOf("sequential", false), 1, [1]).rgba[3], 0, "masked cells are left out");
  assert.deepEqual(heatFrame({ ...heat, values: picture.slice(), range: { lo: -10, hi: 10 } }).notes, ["14 cells beyond the colours (hatched)"]);
  assert.ok(texts(f).includes("this slice"));
});

test("the diagonals of the two-dimensional spectrum are named", () => {
  const f = planeFrame({ width: 500, height: 400, theme, values: picture.map(Math.abs), quantity: "amplitude", rows: 5, columns: 7, x: "b", y: "a", keys: [], hover: null, notes: [] });
  assert.ok(texts(f).includes("a + b") && texts(f).includes("a − b"));
});

test("small multiples fill the room and share their scale; ridges have a row each", () => {
  assert.equal(columnsFor(4, 400, 400, 1), 2);
  const cells = [0, 1, 2].map((id) => ({ id, name: `n${id}`, values: wave }));
  const f = multiplesFrame({ width: 400, height: 300, theme, cells, across: 0, picture: null, y: [-1, 1], selected: 1, notes: [] });
  assert.deepEqual(f.panes.map((p) => p.id), [0, 1, 2]);
  const r = ridgeFrame({ width: 400, height: 300, theme, cells, xName: "a", yName: "neuron", reach: 1, selected: 0, notes: [] });
  assert.equal(of(r, "line").length, 3);
});

test("an SVG is whole, and pixels in it are the pixels given", () => {
  const text = svg(heatFrame(heat), "#fff", 'a "title" <&>');
  assert.ok(text.includes("<title>a &quot;title&quot; &lt;&amp;&gt;</title>"));
  assert.equal(text.split("<g").length, text.split("</g>").length);
  const rgba = Uint8ClampedArray.from({ length: 4 * 6 }, (_, i) => i * 9);
  const bytes = png(rgba, 3, 2);
  const view = new DataView(bytes.buffer);
  assert.equal(view.getUint32(16), 3);
  const length = view.getUint32(33);
  const raw = inflateSync(bytes.subarray(41, 41 + length));
  assert.deepEqual([...raw.subarray(1, 13)], [...rgba.subarray(0, 12)]);
});

test("state goes through the address and back; rubbish is left out", () => {
  const start = { index: { c: 0 }, mode: "wave", mute: [], x: "a", with: null } as unknown as State;
  const state = { ...start, index: { c: 8, "odd ;=name": 2 }, mode: "spectrum", mute: [3, 5], with: "a" } as State;
  const hash = toHash([changes(state, start), { index: { c: 1 } }]);
  assert.deepEqual(fromHash(hash), [{ index: state.index, mode: "spectrum", mute: [3, 5], with: "a" }, { index: { c: 1 } }]);
  assert.deepEqual(fromHash("#other"), []);
  assert.deepEqual(fromHash("#v1;c=%E0%A4%A;zzz;99999:c=1"), [{ index: {} }]);
});

test("nothing from an address enters the state that does not fit it", () => {
  const dims = ["c", "a"];
  for (const [key, value, current] of [["mode", "garbage", "wave"], ["mute", 5, []], ["mute", [0.5], []], ["x", null, "a"], ["play", "zzz", "c"], ["seconds", -1, 10], ["fold", "yes", false]] as const) {
    assert.equal(fits(key, value, current, dims), false, `${key}=${value}`);
  }
  for (const [key, value, current] of [["mode", "ridge", "wave"], ["mute", [5], []], ["play", null, "c"], ["x", "c", "a"], ["fold", true, false]] as const) {
    assert.equal(fits(key, value, current, dims), true, `${key}=${value}`);
  }
});

test("the Python call names what differs", () => {
  const state = { index: { c: 8, a: 0 }, x: "a", play: "c", mode: "spectrum", seconds: 5, fold: true } as unknown as State;
  assert.equal(pythonCall("ms.show(x", state, { mode: "wave", seconds: 10, fold: false }), 'ms.show(x, x="a", play="c", select={"c": 8}, mode="spectrum", seconds_per_cycle=5, fold=True)');
});

test("CSV quotes, NPY has an aligned header", () => {
  assert.equal(csv({ head: ["a,b", "v"], rows: [["=", 1.5]] }), '"a,b",v\r\n=,1.5\r\n');
  const bytes = npy(Float32Array.of(1, 2, 3), [3]);
  const length = bytes[8] + 256 * bytes[9];
  assert.equal((10 + length) % 64, 0);
  assert.ok(new TextDecoder().decode(bytes.subarray(10, 10 + length)).includes("'shape': (3,)"));
});

const meta = { name: "x", dims: ["d", "c", "a"], shape: [2, 3, 4], enc: "f32" as const, error: 0, lo: 0, hi: 23, nan: 0, inf: 0, src: "x" };

test("a block of planes becomes its numbers", async () => {
  const numbers = Float32Array.from({ length: 24 }, (_, i) => i / 7);
  const bytes = new Uint8Array(numbers.buffer);
  const planes = Uint8Array.from({ length: 96 }, (_, i) => bytes[(i % 24) * 4 + Math.floor(i / 24)]);
  const back = values(await gunzip(gzipSync(planes)), meta);
  assert.deepEqual([...back], [...numbers]);
  assert.deepEqual([...fromText("5:Bd;HkD~")].length, 5);
  void gunzipSync;
});

test("a kernel is asked for panes along play, once each, and its refusals are told", async () => {
  const asked: { id: number; keep: number[]; index: number[] }[] = [];
  let hear: (m: { id?: number; error?: string }, b: DataView[]) => void = () => undefined;
  const source: Source = new CommSource({ send: (m) => asked.push(m as never), on: (_, heard) => (hear = heard) });
  let arrived = 0;
  const reader = new Reader([meta], source, () => arrived++);
  assert.equal(reader.slice(0, [2], [1, 2, 0], 1), null);
  assert.equal(reader.slice(0, [2], [1, 0, 0], 1), null);
  assert.deepEqual(asked.map((a) => [a.keep, a.index]), [[[1, 2], [1, 0, 0]]]);
  hear({ id: asked[0].id }, [new DataView(Float32Array.from({ length: 12 }, (_, i) => 12 + i).buffer)]);
  await new Promise((next) => setTimeout(next));
  assert.equal(arrived, 1);
  assert.deepEqual([...reader.slice(0, [2], [1, 2, 0], 1)!], [20, 21, 22, 23]);
  reader.slice(0, [2], [0, 0, 0], 1);
  hear({ id: asked[1].id, error: "gone" }, []);
  await new Promise((next) => setTimeout(next));
  assert.equal(reader.slice(0, [2], [0, 0, 0], 1), null);
  assert.equal(reader.error, "gone");
  assert.ok(reader.slice(0, [2], [1, 2, 0], 1), "the slices that are there stay");
  assert.equal(reader.error, null);
  assert.equal(asked.length, 2, "what was refused is not asked for again and again");
});

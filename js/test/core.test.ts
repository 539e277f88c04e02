import assert from "node:assert/strict";
import { test } from "node:test";
import golden from "./golden.json";
import { phasors, plane, planeQuantity, power, quantityOf, rebuild, shares, synthesise } from "../src/core/dft";
import { fill, namesIn, parse } from "../src/core/expr";
import { alias, describe, inverse, mod, origins, subharmonic } from "../src/core/modp";
import { order, rowFacts } from "../src/core/order";
import { parity, reflect } from "../src/core/parity";
import { decimated, thinned } from "../src/core/decimate";
import { bandLimited } from "../src/core/joins";
import { standing } from "../src/view/labels";
import { digits, exact, logTicks, scaled, tickFormat, tickValues, ticks } from "../src/core/scale";
import { extent, robustExtent, slice } from "../src/core/tensor";
import { step, step2 } from "../src/core/walk";

const near = (got: ArrayLike<number>, want: ArrayLike<number>, slack = 1e-9) => {
  assert.equal(got.length, want.length);
  for (let i = 0; i < want.length; i++) assert.ok(Math.abs(got[i] - want[i]) <= slack * (1 + Math.abs(want[i])), `[${i}] ${got[i]} is not ${want[i]}`);
};

for (const c of golden.spectra) {
  test(`spectrum of ${c.p} samples agrees with numpy`, () => {
    const found = phasors(c.x);
    near(found.re, c.re);
    near(found.im, c.im);
    near(power(found), c.power);
    near(synthesise(found, c.at), c.curve);
    const meanSquare = c.x.reduce((sum, v) => sum + v * v, 0) / c.p;
    near([power(found).reduce((a, b) => a + b, 0)], [meanSquare]);
    near(rebuild(found, () => true), c.x, 1e-6);
  });
  test(`even part of ${c.p} samples agrees with numpy`, () => {
    const parts = parity(c.x, c.s);
    near(parts.even, c.even);
    near([parts.share], [c.share!]);
    near(parts.even.map((v, i) => parts.mean + v + parts.odd[i]), c.x);
  });
}

/** Whether a place of a centred plane is its own negative: numpy's amplitudes are halves of the wave's elsewhere. */
const isOwn = (i: number, rows: number, columns: number): boolean => {
  const [j, k] = [Math.floor(i / columns) - (rows >> 1), (i % columns) - (columns >> 1)];
  return (2 * j) % rows === 0 && (2 * k) % columns === 0;
};

for (const c of golden.planes) {
  test(`two-dimensional spectrum ${c.rows} x ${c.columns} agrees with numpy`, () => near(planeQuantity(plane(c.picture, c.rows, c.columns), "amplitude"), c.amplitudes.map((v, i) => v * (isOwn(i, c.rows, c.columns) ? 1 : 2)), 1e-6));
}

for (const c of golden.python) {
  test(`"${c.text}" is what Python says`, () => assert.equal(parse(c.text)(c.names as never), c.value));
}

test("a fractional reflection undoes itself, and is exact for band-limited waves of odd length", () => {
  const wave = Float64Array.from({ length: 113 }, (_, n) => Math.cos((2 * Math.PI * 14 * (n - 3.25)) / 113));
  near(reflect(reflect(wave, 6.5), 6.5), wave, 1e-9);
  near([parity(wave, 6.5).share], [1], 1e-9);
  near([parity(wave, 6.5 + 113 / 14).share], [1], 1e-9);
});

test("shares leave DC out and sum to one; a constant has none", () => {
  near([shares(phasors([3, 1, 4, 1, 5])).reduce((a, b) => a + b, 0)], [1]);
  assert.deepEqual([...shares(phasors([2, 2, 2]))], [0, 0]);
});

test("cos and sin coefficients of a sine", () => {
  const wave = Array.from({ length: 9 }, (_, n) => 3 * Math.sin((2 * Math.PI * 2 * n) / 9));
  near(quantityOf(phasors(wave), "cossin").slice(5), [0, 0, 3, 0, 0]);
});

test("the fast transform of any length agrees with the sum, and is undone", () => {
  for (const n of [1, 2, 3, 4, 97, 128, 129, 200, 251, 256, 600, 1009]) {
    const wave = Float64Array.from({ length: n }, (_, i) => Math.sin(i * i + 1) + 0.3);
    const c = phasors(wave);
    for (const k of [0, 1, n >> 2, n >> 1]) {
      let [re, im] = [0, 0];
      wave.forEach((v, i) => ((re += v * Math.cos((2 * Math.PI * k * i) / n)), (im -= v * Math.sin((2 * Math.PI * k * i) / n))));
      const scale = k === 0 || 2 * k === n ? 1 / n : 2 / n;
      if (k < c.re.length) near([c.re[k], c.im[k]], [re * scale, k === 0 || 2 * k === n ? 0 : im * scale], 1e-9);
    }
    near(rebuild(c, () => true), wave, 1e-5);
  }
});

test("a plane gives a wave its amplitude, power and share in both places, as in one dimension", () => {
  for (const [rows, columns] of [[9, 7], [8, 12], [113, 130]]) {
    const picture = Float64Array.from({ length: rows * columns }, (_, i) => 2 + 3 * Math.cos(2 * Math.PI * ((2 * Math.floor(i / columns)) / rows + (3 * (i % columns)) / columns) + 0.4));
    const c = plane(picture, rows, columns);
    const at = (j: number, k: number) => (j + (rows >> 1)) * columns + k + (columns >> 1);
    for (const [quantity, want] of [["amplitude", 3], ["power", 4.5], ["share", 1], ["db", 10 * Math.log10(4.5)]] as const) {
      const q = planeQuantity(c, quantity);
      near([q[at(2, 3)], q[at(-2, -3)]], [want, want], 1e-5);
    }
    near([planeQuantity(c, "phase")[at(2, 3)], planeQuantity(c, "phase")[at(-2, -3)], planeQuantity(c, "cossin")[at(0, 0)]], [0.4, -0.4, 2], 1e-5);
  }
});

test("numbers are said to the last digit that a float32 has", () => {
  for (const [v, text] of [[12345, "12345"], [16777217, "16777216"], [0.1, "0.1"], [-1.5, "−1.5"], [1e-30, "1e−30"], [NaN, "NaN"], [-Infinity, "−inf"], [3.4e38, "3.4e38"], [0, "0"]] as const) assert.equal(exact(v), text);
  assert.equal(exact(1.23456, 0.001), "1.235");
  for (let i = 0; i < 500; i++) {
    const v = Math.fround((Math.random() - 0.5) * 10 ** (30 * Math.random() - 15));
    assert.equal(Math.fround(Number(exact(v).replace(/−/g, "-"))), v);
  }
});

test("long lines keep every spike and every gap", () => {
  const n = 20000;
  const ys = Float64Array.from({ length: n }, (_, i) => (i === 7777 ? 50 : i > 12000 && i < 12400 ? NaN : Math.sin(i)));
  const { xs: px, ys: py } = decimated(Float64Array.from({ length: n }, (_, i) => i), ys, 500);
  assert.ok(px.length <= 2000 && Array.from(py).includes(50) && Array.from(py).some(Number.isNaN));
  for (let i = 1; i < px.length; i++) assert.ok(px[i] >= px[i - 1]);
  const picture = Float32Array.from({ length: 90 * 70 }, (_, i) => (i === 4000 ? -9 : 1));
  const small = thinned(picture, 90, 70, { rows: 30, columns: 30 }, 0);
  assert.deepEqual([small.rows, small.columns, small.by, small.values.filter((v) => v === -9).length], [30, 24, 3, 1]);
});

test("waves of a few frequencies are joined by the curve, rectified, stepped and spiky ones are not", () => {
  const of = (f: (i: number) => number) => Float32Array.from({ length: 113 }, (_, i) => f(i));
  const wave = (k: number, i: number) => Math.cos((2 * Math.PI * k * i) / 113);
  assert.ok(bandLimited(of((i) => wave(14, i) + 0.6 * wave(52, i + 3) + 2), 113));
  for (const f of [(i: number) => Math.max(0, wave(3, i)), (i: number) => (i < 40 ? 1 : -1), (i: number) => (i === 50 ? 1 : 0.001 * Math.sin(i * i)), (i: number) => Math.sin(i * i * i)]) assert.equal(bandLimited(of(f), 113), false);
});

test("log and symlog scales turn back, and their ticks are powers of ten", () => {
  for (const kind of ["linear", "log", "symlog"] as const) {
    const scale = scaled(kind, [0.01, 100], [0, 300], 0.1);
    for (const v of [0.01, 0.5, 3, 100]) near([scale.invert(scale(v))], [v]);
  }
  assert.deepEqual(logTicks("log", [0.005, 200], 9), [0.01, 0.1, 1, 10, 100]);
  assert.deepEqual(logTicks("symlog", [-100, 100], 20, 1), [-100, -10, -1, 0, 1, 10, 100]);
});

test("labels that stand in one line never touch", () => {
  const at = [0, 10, 20, 30, 40, 200];
  const stands = standing(at, at.map(() => 25), (i) => i === 2);
  assert.ok(stands[2] && stands[5]);
  const kept = at.filter((_, i) => stands[i]);
  for (let i = 1; i < kept.length; i++) assert.ok(kept[i] - kept[i - 1] >= 25);
});

test("gaps count as the mean", () => near(phasors([1, NaN, 3]).re, phasors([1, 2, 3]).re));

test("residues never have the sign of the dividend", () => {
  assert.equal(mod(-1, 113), 112);
  assert.equal(mod(-0.5, 113), 112.5);
  for (const p of [2, 7, 8, 113]) for (let n = 1; n < p; n++) {
    const i = inverse(n, p);
    if (i !== null) assert.equal((i * n) % p, 1 % p);
  }
});

test("frequencies fold, halve where they can, and are named together", () => {
  assert.equal(alias(82, 113), 31);
  assert.equal(subharmonic(35, 113), 39);
  assert.equal(subharmonic(3, 8), null);
  const keys = [14, 35, 41, 42, 52];
  assert.equal(describe(28, keys, 113), "28 = 2×14 = 42−14");
  assert.equal(describe(7, keys, 113), "7 = 14/2 = 42−35");
  assert.equal(describe(14, keys, 113).startsWith("14 (key)"), true);
  assert.equal(describe(3, keys, 113), "");
  for (const o of origins(keys, 113)) assert.ok(o.k >= 0 && o.k <= 56);
});

test("expressions refuse what is not arithmetic", () => {
  for (const bad of ["", "a b", "a +", "(a", "alert(1)", "a.b", "a[0]", "x => 1", "constructor(1)", '"a"']) assert.throws(() => parse(bad), Error, bad);
  assert.throws(() => parse("q + 1")({ a: 1 }), /unknown name q; there are a/);
  assert.throws(() => parse("toString")({ a: 1 }), /unknown name/);
});

test("templates fill, format, and keep doubled braces", () => {
  assert.equal(fill("{a} + {b} = {c} (mod {p})", { a: 1, b: 2, c: 3, p: 113 }), "1 + 2 = 3 (mod 113)");
  assert.equal(fill("{{x}} {c/2:.2f}", { c: 7 }), "{x} 3.50");
  assert.deepEqual(namesIn("max(c/2, p)"), ["c", "p"]);
});

test("slices follow the strides, in any order of axes", () => {
  const data = Float32Array.from({ length: 24 }, (_, i) => i);
  assert.deepEqual([...slice(data, [2, 3, 4], [2], [1, 2, 0])], [20, 21, 22, 23]);
  assert.deepEqual([...slice(data, [2, 3, 4], [0], [0, 1, 3])], [7, 19]);
  assert.deepEqual([...slice(data, [2, 3, 4], [2, 1], [1, 0, 0])].slice(0, 4), [12, 16, 20, 13]);
  assert.deepEqual([...slice(data, [2, 3, 4], [], [1, 2, 3])], [23]);
});

test("extents leave gaps out", () => {
  assert.deepEqual(extent([NaN, 2, Infinity, -1]), { lo: -1, hi: 2 });
  assert.equal(extent([NaN]), null);
  const many = Float32Array.from({ length: 1001 }, (_, i) => (i === 0 ? 1000 : i % 2));
  assert.ok(robustExtent(many)!.hi < 200);
});

test("playing once stops, loops wrap, bounces turn", () => {
  assert.deepEqual(step(4, 5, 1, "once"), { index: 4, direction: 1, done: true, wrapped: false });
  assert.deepEqual(step(4, 5, 1, "loop"), { index: 0, direction: 1, done: false, wrapped: true });
  assert.deepEqual(step(4, 5, 1, "bounce"), { index: 3, direction: -1, done: false, wrapped: true });
  assert.equal(step(0, 1, 1, "bounce").index, 0);
});

test("the odometer visits every pair once, the diagonal keeps the difference", () => {
  let [a, b] = [0, 0];
  const seen = new Set<string>();
  for (let i = 0; i < 12; i++) {
    seen.add(`${a},${b}`);
    const next = step2([a, 3], [b, 4], 1, "loop", "odometer");
    [a, b] = [next.first.index, next.second];
  }
  assert.equal(seen.size, 12);
  assert.deepEqual([a, b], [0, 0]);
  const last = step2([2, 3], [3, 4], 1, "once", "odometer");
  assert.equal(last.first.done, true);
  for (let i = 0; i < 20; i++) {
    const next = step2([a, 7], [b, 7], 1, "loop", "diagonal");
    [a, b] = [next.first.index, next.second];
    assert.equal(a, b);
  }
});

test("rows sort by peak frequency then phase", () => {
  const wave = (k: number, shift: number) => Float32Array.from({ length: 11 }, (_, n) => Math.cos((2 * Math.PI * k * n) / 11 - shift));
  const facts = [wave(3, 0), wave(1, 1), wave(1, -1), wave(2, 0)].map(rowFacts);
  assert.deepEqual(facts.map((f) => f.peak), [3, 1, 1, 2]);
  assert.deepEqual(order(facts, "peak"), [1, 2, 3, 0]);
  assert.deepEqual(order(facts, "index"), [0, 1, 2, 3]);
});

test("ticks are round, inside, and about as many as asked for", () => {
  assert.deepEqual(ticks(0, 1, 5), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.deepEqual(ticks(-0.35, 0.35, 7), [-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3].map((v) => v || 0));
  assert.deepEqual(ticks(0, 112, 10), [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110]);
  assert.deepEqual(ticks(3, 3, 4), [3]);
  assert.deepEqual(tickValues([112.5, -0.5], 5, true), [0, 20, 40, 60, 80, 100]);
  for (const [lo, hi] of [[-1e-7, 3e-7], [1e5, 9e8], [-12.3, -0.4], [0, 0.00113]]) {
    for (const count of [2, 5, 9]) {
      const found = ticks(lo, hi, count);
      assert.ok(found.length >= count / 2.5 && found.length <= 2.5 * count + 1, `${lo} ${hi} ${count}: ${found}`);
      assert.ok(found.every((v) => v >= lo && v <= hi));
    }
  }
});

test("numbers read well", () => {
  assert.equal(digits(NaN), "NaN");
  assert.equal(digits(0.123456), "0.1235");
  assert.equal(digits(1.5e-7), "1.500e-7");
  assert.equal(tickFormat([0, 0.5, 1])(0.5), "0.5");
  assert.equal(tickFormat([0, 2e6, 4e6])(2e6), "2e+6");
});

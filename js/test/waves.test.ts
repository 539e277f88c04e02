import assert from "node:assert/strict";
import { test } from "node:test";
import { overC, summed } from "../src/io/waves";

/** Bytes of whole numbers [coefficient, picture], as the page carries them. */
function planesOf(codes: number[]): Uint8Array {
  const zigzag = codes.map((code) => (code << 1) ^ (code >> 31));
  return Uint8Array.from([0, 8, 16].flatMap((shift) => zigzag.map((one) => (one >>> shift) & 255)));
}

test("one wave of each of two pictures, with a step and a sign of its own", () => {
  const [rows, columns] = [3, 4];
  const codes = new Array(2 * rows * columns).fill(0);
  codes[2 * 1] = 70_000; // the first picture: cos 1 over the columns, the mean over the rows
  codes[2 * (2 * columns + 3) + 1] = -5; // the second: sin 1 over the rows, cos 2, which is Nyquist, over the columns
  const found = summed(Float32Array.of(0.5, 2), planesOf(codes), [2, rows, columns]);
  for (let m = 0, i = 0; m < rows; m++) {
    for (let n = 0; n < columns; n++, i++) {
      const first = (0.5 * 70_000 * Math.SQRT1_2 * Math.cos((Math.PI * n) / 2)) / Math.sqrt(rows);
      const second = -10 * Math.sqrt(2 / rows) * Math.sin((2 * Math.PI * m) / rows) * 0.5 * (-1) ** n;
      assert.ok(Math.abs(found[i] - first) < 1e-2, `${found[i]} is not ${first}`);
      assert.ok(Math.abs(found[rows * columns + i] - second) < 1e-5, `${found[rows * columns + i]} is not ${second}`);
    }
  }
});

test("no code, no wave", () => {
  assert.deepEqual([...summed(Float32Array.of(1), planesOf([0, 0, 0, 0]), [2, 2])], [0, 0, 0, 0]);
});

test("rows of c from pictures over a and b", () => {
  // b = c - a: the row of c = 1 is (a, b) = (0, 1), (1, 0), (2, 2)
  assert.deepEqual([...overC(Float32Array.of(0, 1, 2, 10, 11, 12, 20, 21, 22), 3)], [0, 12, 21, 1, 10, 22, 2, 11, 20]);
});

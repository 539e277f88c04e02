// Blocks: gzip of byte planes. "f32" is a float32 tensor; "i16" is per row of the last axis a middle and a step
// (float32 each), then int16 with -32768 for NaN, -32766 for masked, and -32767, 32767
// for the infinities. "waves": sums of waves (waves.ts); "sheared": of them, over (a, b), the rows of c = a + b.
import { MASK_BITS, size, type TensorMeta } from "../core/tensor";
import { overC, summed } from "./waves";

const SKIPPED = "\"&'<>\\`:,";
const DIGITS = new Uint8Array(256);
const LITTLE = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
for (let code = 33, digit = 0; code < 127; code++) if (!SKIPPED.includes(String.fromCharCode(code))) DIGITS[code] = digit++;

/** The bytes of "length:characters": five characters of base 85 for four bytes, high byte first. */
export function fromText(text: string): Uint8Array {
  const start = text.indexOf(":") + 1;
  const length = Number(text.slice(0, start - 1));
  const letters = new TextEncoder().encode(text);
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let at = 0, i = start; at < words.length; at++, i += 5) {
    const upper = (DIGITS[letters[i]] * 85 + DIGITS[letters[i + 1]]) * 85 + DIGITS[letters[i + 2]];
    // The low 32 bits of the sum are the word.
    const word = Math.imul(upper, 7225) + DIGITS[letters[i + 3]] * 85 + DIGITS[letters[i + 4]];
    words[at] = LITTLE ? (word >>> 24) | ((word >>> 8) & 0xff00) | ((word << 8) & 0xff0000) | (word << 24) : word;
  }
  return new Uint8Array(words.buffer, 0, length);
}

export async function gunzip(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Undoes the byte planes: byte j of every number lies in plane j. */
export function unshuffle(bytes: Uint8Array, width: number): Uint8Array {
  const count = bytes.length / width;
  const out = new Uint8Array(bytes.length);
  if (LITTLE && width === 2) {
    const numbers = new Uint16Array(out.buffer);
    for (let i = 0; i < count; i++) numbers[i] = bytes[i] | (bytes[count + i] << 8);
    return out;
  }
  if (LITTLE && width === 4) {
    const numbers = new Uint32Array(out.buffer);
    const [two, three] = [2 * count, 3 * count];
    for (let i = 0; i < count; i++) numbers[i] = bytes[i] | (bytes[count + i] << 8) | (bytes[two + i] << 16) | (bytes[three + i] << 24);
    return out;
  }
  for (let j = 0; j < width; j++) {
    for (let i = 0, from = j * count, to = j; i < count; i++, from++, to += width) out[to] = bytes[from];
  }
  return out;
}

export function values(bytes: Uint8Array, meta: TensorMeta): Float32Array {
  const count = size(meta.shape);
  if (meta.enc === "f32") return new Float32Array(unshuffle(bytes, 4).buffer, 0, count);
  if (meta.enc === "waves" || meta.enc === "sheared") {
    const pictures = size(meta.shape.slice(0, -2));
    const steps = new Float32Array(unshuffle(bytes.subarray(0, 4 * pictures), 4).buffer);
    const pairs = summed(steps, bytes.subarray(4 * pictures), meta.shape);
    return meta.enc === "waves" ? pairs : overC(pairs, meta.shape[meta.shape.length - 1]);
  }
  const columns = meta.shape[meta.shape.length - 1];
  const rows = count / columns;
  const scales = new Float32Array(unshuffle(bytes.subarray(0, 8 * rows), 4).buffer);
  const codes = new Int16Array(unshuffle(bytes.subarray(8 * rows), 2).buffer);
  const out = new Float32Array(count);
  const bits = new Uint32Array(out.buffer);
  for (let row = 0, i = 0; row < rows; row++) {
    const [middle, step] = [scales[row], scales[rows + row]];
    for (let n = 0; n < columns; n++, i++) {
      const code = codes[i];
      if (code === -32768) out[i] = NaN;
      else if (code === -32766) bits[i] = MASK_BITS;
      else if (code === 32767 || code === -32767) out[i] = code > 0 ? Infinity : -Infinity;
      else out[i] = middle + step * code;
    }
  }
  return out;
}

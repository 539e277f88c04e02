// Integers mod p. JavaScript's % keeps the sign of the dividend; residues never do.

export const mod = (n: number, p: number): number => n - p * Math.floor(n / p);

/** k, -k and k + p are one real wave; its name is the one in 0..p/2. */
export function alias(k: number, p: number): number {
  const r = mod(k, p);
  return Math.min(r, p - r);
}

/** The inverse of n mod p, or null where n and p share a factor. */
export function inverse(n: number, p: number): number | null {
  let [r0, r1, s0, s1] = [p, mod(n, p), 0, 1];
  while (r1) {
    const q = Math.floor(r0 / r1);
    [r0, r1, s0, s1] = [r1, r0 - q * r1, s1, s0 - q * s1];
  }
  return r0 === 1 ? mod(s0, p) : null;
}

/** The frequency whose second harmonic is k; null where there is none or more than one (even p). */
export function subharmonic(k: number, p: number): number | null {
  const half = inverse(2, p);
  return half === null ? null : alias(k * half, p);
}

export interface Origin {
  k: number;
  name: string;
  kind: "key" | "harmonic" | "subharmonic" | "sum";
}

/** Everything that key frequencies give rise to, folded to 0..p/2: f, 2f, f/2, f1 + f2, |f1 - f2|. */
export function origins(keys: readonly number[], p: number): Origin[] {
  const found: Origin[] = keys.map((f) => ({ k: alias(f, p), name: `${f}`, kind: "key" }));
  for (const f of keys) {
    found.push({ k: alias(2 * f, p), name: `2×${f}`, kind: "harmonic" });
    const half = subharmonic(f, p);
    if (half !== null) found.push({ k: half, name: `${f}/2`, kind: "subharmonic" });
  }
  keys.forEach((f, i) =>
    keys.slice(i + 1).forEach((g) => {
      const [low, high] = f < g ? [f, g] : [g, f];
      found.push({ k: alias(low + high, p), name: `${low}+${high}`, kind: "sum" });
      found.push({ k: alias(high - low, p), name: `${high}−${low}`, kind: "sum" });
    }),
  );
  return found;
}

/** "28 = 2×14 = 42−14": what frequency k is, given the key frequencies; "" where it is none of these. */
export function describe(k: number, keys: readonly number[], p: number): string {
  const here = origins(keys, p).filter((o) => o.k === k);
  if (!here.length) return "";
  const names = [...new Set(here.filter((o) => o.kind !== "key").map((o) => o.name))];
  const key = here.some((o) => o.kind === "key");
  return [`${k}${key ? " (key)" : ""}`, ...names].join(" = ");
}

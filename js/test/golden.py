"""Writes golden.json beside it: spectra, parts and residues computed by numpy for the tests of the page's core.

Run: python js/test/golden.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


def phasors(x: np.ndarray) -> np.ndarray:
    """C_k with x[n] = sum over k of Re(C_k exp(2 pi i k n / p)), by the definition, in float64."""
    p = len(x)
    k = np.arange(p // 2 + 1)
    c = np.exp(-2j * np.pi * np.outer(k, np.arange(p)) / p) @ x / p
    return np.where((k == 0) | (2 * k == p), c, 2 * c)


def power(c: np.ndarray, p: int) -> np.ndarray:
    k = np.arange(len(c))
    return np.abs(c) ** 2 * np.where((k == 0) | (2 * k == p), 1, 0.5)


def spectrum_case(p: int, rng: np.random.Generator) -> dict:
    x = rng.standard_normal(p)
    c = phasors(x)
    half = rng.uniform(0, p, 5)
    curve = sum((c[k] * np.exp(2j * np.pi * k * half / p)).real for k in range(len(c)))
    s = int(rng.integers(p))
    mirrored = x[(s - np.arange(p)) % p]
    even = (x + mirrored) / 2 - x.mean()
    return {
        "p": p,
        "x": x.tolist(),
        "re": c.real.tolist(),
        "im": c.imag.tolist(),
        "power": power(c, p).tolist(),
        "at": half.tolist(),
        "curve": curve.tolist(),
        "s": s,
        "even": even.tolist(),
        "share": float((even**2).sum() / ((x - x.mean()) ** 2).sum()) if p > 1 else None,
    }


def plane_case(rows: int, columns: int, rng: np.random.Generator) -> dict:
    picture = rng.standard_normal((rows, columns))
    table = np.abs(np.fft.fftshift(np.fft.fft2(picture))) / picture.size
    return {
        "rows": rows,
        "columns": columns,
        "picture": picture.ravel().tolist(),
        "amplitudes": table.ravel().tolist(),
    }


def main() -> None:
    rng = np.random.default_rng(0)
    primes, even, odd = (113, 97, 7, 3), (2, 8, 96, 64), (9, 15, 105)
    golden = {
        "spectra": [spectrum_case(p, rng) for p in (*primes, *even, *odd)],
        "planes": [plane_case(r, c, rng) for r, c in ((5, 5), (6, 7), (8, 8))],
        "python": [
            {"text": t, "names": n, "value": eval(t, {"__builtins__": {}}, dict(n))}
            for t, n in (
                ("(c - a) % p", {"c": 3, "a": 10, "p": 113}),
                ("c/2 + p/2", {"c": 8, "p": 113}),
                ("-7 // 2 + -7 % 3", {}),
                ("-2 ** 2 + 2 ** -1", {}),
                ("2 ** 3 ** 2 / 4", {}),
                ("1.5e1 - a * -b", {"a": 2, "b": 3}),
                ("a - b - c", {"a": 1, "b": 2, "c": 3}),
            )
        ],
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(golden))


if __name__ == "__main__":
    main()

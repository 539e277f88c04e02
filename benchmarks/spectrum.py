"""Spectrum of mlp_post along an axis: modscope.signal.spectrum against torch.fft.rfft along the same axis.

    python benchmarks/spectrum.py [--quick] [--threads N]

The array is [113, 113, 512] float32, ReLU of white noise (seed 0), neuron innermost, as `record` keeps it. Both sides make
the 57 complex numbers of each wave, modscope's scaled to phasors as well; both use torch's threads, N of them (1 unless
said). The ratio of the last line is the geometric mean over the two axes. Longer waves and other
lengths follow for information: there `spectrum` chooses between a matrix product and an FFT.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
import torch

from modscope.signal import power, spectrum
from pairs import Comparison, compare


def rectified_noise(*shape: int) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    return np.maximum(noise, 0, out=noise)


def along(x: np.ndarray, axis: int, pairs: int) -> Comparison:
    tensor = torch.from_numpy(x)
    expected = torch.fft.rfft(tensor, dim=axis).numpy()
    found = spectrum(x, axis).take(range(1, 3), axis=axis) * x.shape[axis] / 2
    np.testing.assert_allclose(found, expected.take(range(1, 3), axis=axis), atol=1e-3)
    return compare(lambda: spectrum(x, axis), lambda: torch.fft.rfft(tensor, dim=axis), pairs=pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer pairs, the main array only")
    parser.add_argument("--threads", type=int, default=1, help="threads of both sides")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    pairs = 15 if arguments.quick else 61
    print(
        f"threads, both sides: {torch.get_num_threads()}; torch {torch.__version__}, numpy {np.__version__}"
    )

    x = rectified_noise(113, 113, 512)
    ratios = []
    for axis, name in enumerate("ab"):
        result = along(x, axis, pairs)
        print(result.lines(f"spectrum of mlp_post {x.shape} along {name}", "modscope", "torch.fft.rfft"))
        ratios.append(result.ratio)
    tensor = torch.from_numpy(x)
    squares = compare(lambda: power(x, 1), lambda: torch.fft.rfft(tensor, dim=1).abs().square(), pairs=pairs)
    print(squares.lines("power along b", "modscope", "rfft, abs, square"))
    if not arguments.quick:
        for p in (59, 114, 128, 227, 331, 499, 512):
            result = along(rectified_noise(2**22 // (p * 256), p, 256), 1, 9)
            print(result.lines(f"length {p}", "modscope", "torch.fft.rfft"))
    print(f"spectrum ratio {math.prod(ratios) ** (1 / len(ratios)):.2f}")


if __name__ == "__main__":
    main()

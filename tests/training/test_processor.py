"""The kernel's shape follows the processor, and every shape computes the same gradients."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from modscope.errors import InputError
from modscope.model import Transformer, TransformerConfig
from modscope.task import ModularTask, Split
from modscope.training.engines import PlainEngine
from modscope.training.fast import FastEngine
from modscope.training.processor import SHAPE, KernelShape, Processor, kernel_shape
from modscope.training.tables import Pairs

AVX2 = "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+avx,+avx2,+fma,+bmi,+bmi2,+lzcnt,+popcnt,+f16c"

FORCED = """
from tests.training.test_processor import distance_from_plain
from modscope.training.processor import KernelShape, Processor, kernel_shape
processor = Processor.here()
assert (processor.vector, processor.registers) == (8, 16), processor
assert kernel_shape() == KernelShape.of(processor) and not kernel_shape().two_rows
assert kernel_shape().row == 7
assert distance_from_plain(kernel_shape()) < 1e-5
print("as it should be")
"""


def distance_from_plain(shape: KernelShape) -> float:
    """The largest relative distance of a weight's gradient from float64, on a network that fills no word and no row."""
    config = TransformerConfig(37, d_model=12, n_heads=5, d_head=3, d_mlp=70)
    task = ModularTask(37, "subtract", Split(fraction=0.2))
    pairs, weights = Pairs.of(task, task.train_mask), Transformer.initialised(config, seed=3).weights
    found = []
    for engine, kind in (
        (FastEngine(config, shape=shape), torch.float32),
        (PlainEngine(config), torch.float64),
    ):
        leaves = {name: w.detach().clone().to(kind).requires_grad_() for name, w in weights.items()}
        engine.gradients(leaves, pairs)
        found.append({name: leaf.grad.double() for name, leaf in leaves.items()})
    fast, exact = found
    whole = torch.cat([grad.flatten() for grad in exact.values()]).norm()
    return max(float((fast[n] - g).norm() / max(g.norm(), 1e-2 * whole)) for n, g in exact.items())


@pytest.mark.parametrize(
    ("triple", "features", "cache", "shape"),
    [
        ("x86_64-pc-linux-gnu", "+avx,+avx2,+fma,+avx512f", 48, KernelShape(8, True, 64, 64)),
        ("x86_64-pc-linux-gnu", "+avx,+avx2,+fma,+avx512f", 32, KernelShape(8, True, 32, 32)),
        ("x86_64-pc-linux-gnu", "+avx,+avx2,+fma,-avx512f", 32, KernelShape(7, False, 32, 32)),
        ("x86_64-pc-linux-gnu", "+avx,+avx2,+fma", 48, KernelShape(7, False, 64, 64)),
        ("x86_64-pc-linux-gnu", "+sse2", 32, KernelShape(3, False, 64, 64)),
        ("aarch64-unknown-linux-gnu", "+neon", 64, KernelShape(7, False, 64, 64)),
        ("arm64-apple-darwin24.0.0", "", 0, KernelShape(7, False, 64, 64)),
    ],
)
def test_each_processor_has_its_shape(triple, features, cache, shape):
    assert KernelShape.of(Processor.of(triple, features, cache * 1024)) == shape


@pytest.mark.parametrize("shape", [KernelShape(1, False, 24, 32), KernelShape(2, True, 50, 64)])
def test_gradients_do_not_depend_on_the_shape(shape):
    assert distance_from_plain(shape) < 1e-5


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="AVX2 is of x86")
def test_avx2_is_taken_where_numba_is_held_to_it():
    forced = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": AVX2}
    env = {name: value for name, value in os.environ.items() if name != SHAPE} | forced
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", FORCED], env=env, cwd=root, capture_output=True, text=True)
    assert done.stdout.strip() == "as it should be", done.stderr


def test_the_environment_may_ask_for_a_shape(monkeypatch):
    monkeypatch.setenv(SHAPE, "row=5 two_rows=1 block=40 word=32")
    assert kernel_shape() == KernelShape(5, True, 40, 32)
    assert str(kernel_shape()) == "two rows of up to 80 answers in registers, 40 pairs by 32 neurons"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "row=9 two_rows=1 block=40 word=32",
        "row=5 two_rows=1 block=65 word=32",
        "row=5 word=32",
        "row=a",
        "fast",
    ],
)
def test_a_shape_that_is_none_is_refused_in_one_sentence(text):
    with pytest.raises(InputError, match=r'expected "row=1\.\.8 two_rows=0\|1 block=1\.\.64 word=32\|64"'):
        KernelShape.read(text)

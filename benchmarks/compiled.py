"""The training kernel compiled by numba against the same kernel in C, built by the system's compiler.

    python benchmarks/compiled.py [--quick] [--cc gcc]

Same three products over active (pair, neuron) alone, in blocks of 64 pairs (`compiled.c`), one thread, on the tables of
the network that ships with modscope (p = 113, d_mlp 512, 3830 pairs); the C kernel has the loops that ours had when it
was written. The gradients must agree before anything is timed. The last line is
`compiled ratio R`, the time of the C kernel divided by ours: 1 / R is what a compiled extension would gain.
"""

from __future__ import annotations

import argparse
import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch

from modscope.model import Network
from modscope.shipped import shipped_network
from modscope.training.fast import FastEngine
from modscope.training.kernel import pair_gradients
from modscope.training.registers import LANES
from modscope.training.tables import Pairs, pair_tables
from pairs import compare

BLOCK = 64  # pairs, in compiled.c
FLAGS = ("-O3", "-march=native", "-ffast-math", "-shared", "-fPIC")


def built(compiler: str, folder: Path, *, neurons: int, row: int) -> ctypes.CDLL:
    """The C kernel for one size, as a library."""
    library = folder / "kernel.so"
    source = Path(__file__).with_name("compiled.c")
    sizes = [f"-DNEURONS={neurons}", f"-DROW={row}"]
    subprocess.run([compiler, *FLAGS, *sizes, str(source), "-o", str(library), "-lm"], check=True)
    found = ctypes.CDLL(str(library))
    found.pair_gradients.restype = ctypes.c_double
    return found


def addresses(arrays: tuple[np.ndarray, ...]) -> ctypes.Array:
    """A struct of pointers, in the order of the arrays."""
    return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))


def kernel_tables(network: Network, pairs: Pairs) -> tuple[np.ndarray, ...]:
    """The six arrays that the kernel reads, with the neurons turned that are mostly active."""
    engine = FastEngine(network.config)
    weights = {name: w.clone().requires_grad_() for name, w in network.weights.items()}
    engine.gradients(weights, pairs)
    with torch.no_grad():
        tables = pair_tables(weights, network.config, pairs, turned=engine.state()["turned"])
    base, left, right, *others = tables.tensors()
    given = base[None], left.flatten(0, 1), right.flatten(0, 1), *others
    return tuple(tensor.contiguous().numpy() for tensor in given)


def block_scratch(columns: int, neurons: int) -> tuple[np.ndarray, ...]:
    """Room for one block of pairs; torch aligns it to 64 bytes."""
    rows = [torch.zeros(BLOCK, columns).numpy() for _ in range(2)]
    bits = [np.zeros(shape, np.uint64) for shape in ((BLOCK, neurons // 64), 64, neurons)]
    return (*rows, *bits, np.zeros(neurons, np.int64))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer pairs of runs")
    parser.add_argument("--cc", default=shutil.which("cc") or "cc", help="the C compiler")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    checkpoint = shipped_network()
    config, task = checkpoint.model.config, checkpoint.task
    pairs = Pairs.of(task, task.train_mask).tiled()
    tables = kernel_tables(checkpoint.model, pairs)
    columns, p = tables[0].shape[1], task.p
    neurons, answers = tables[5].shape
    terms = tables[3].shape[1]
    lanes = (0,) * (answers // LANES)
    share = np.float32(1 / len(pairs))
    scratch = block_scratch(columns, neurons)
    engine = FastEngine(config)
    own_scratch, rows = engine.layout.scratch(terms), engine.layout.rows
    in_turn = None if engine.shape.two_rows else 0
    of_pairs = tuple(tensor.numpy() for tensor in (pairs.a, pairs.b, pairs.labels))
    ours, theirs = (tuple(np.zeros_like(table) for table in tables) for _ in range(2))

    def numba() -> float:
        return pair_gradients(
            0, len(pairs), of_pairs, tables, ours, own_scratch, config.answers - 1, share, *rows, in_turn
        )[0]

    with tempfile.TemporaryDirectory() as folder:
        library = built(arguments.cc, Path(folder), neurons=neurons, row=len(lanes))
        structs = [addresses(arrays) for arrays in (tables, theirs, scratch)]
        right = ctypes.c_int64()

        def c() -> float:
            return library.pair_gradients(
                ctypes.c_int64(0),
                ctypes.c_int64(len(pairs)),
                *(ctypes.c_void_p(array.ctypes.data) for array in of_pairs),
                *structs,
                ctypes.c_int64(config.answers - 1),
                ctypes.c_float(share),
                ctypes.c_int64(p),
                ctypes.c_int64(terms),
                ctypes.byref(right),
            )

        losses = numba() / len(pairs), c() / len(pairs)
        print(f"mean loss: numba {losses[0]:.8e}, C {losses[1]:.8e}")
        for name, mine, other in zip(
            ("base", "left", "right", "weights", "weights", "C"), ours, theirs, strict=True
        ):
            apart = np.linalg.norm(mine - other) / np.linalg.norm(mine)
            print(f"gradient of {name}: relative distance {apart:.1e}")
            if not apart < 1e-4:
                raise SystemExit("the two kernels do not compute the same")
        version = subprocess.run([arguments.cc, "--version"], capture_output=True, text=True, check=True)
        print(version.stdout.splitlines()[0])
        result = compare(numba, c, pairs=25 if arguments.quick else 101, warm=3)
    print(result.lines("kernel of a training step, one thread", "numba", "C", name="compiled"))


if __name__ == "__main__":
    main()

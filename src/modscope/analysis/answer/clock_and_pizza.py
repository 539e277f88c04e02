"""The measures by which clocks and pizzas were told apart (Zhong et al. 2023), exactly as published.

A clock's logits turn with a + b alone: Q_clock = cos w(a + b - c). A pizza's depend on a + b through a sum of
equal waves, so their size goes with the distance a - b: Q_pizza carries the envelope |cos w(a - b)/2|.
"""

from __future__ import annotations

import random

import numpy as np
import torch
import xarray as xr

from modscope import memory
from modscope.activations import Activations
from modscope.boundary import public
from modscope.errors import InputError
from modscope.losses import Logits, logits_of_labels
from modscope.model import Network
from modscope.networks.tokens import residue_positions, with_residue_rows
from modscope.residues import modulus
from modscope.task import ModularTask

__all__ = [
    "circle_fits",
    "circularity",
    "clock_logits",
    "distance_irrelevance",
    "first_triples",
    "gradient_cosines",
    "gradient_symmetricity",
    "isolated_circle",
    "pizza_logits",
    "turned_logits",
]

_TRIPLES_AT_ONCE = 4096


@public
def gradient_symmetricity(acts: Activations, *, triples: int | np.ndarray = 100, seed: int = 42) -> float:
    """How alike the gradients of a logit with respect to the two token embeddings are, from -1 to 1.

    The mean over triples (a, b, c) of cos(dQ_abc/dE_a, dQ_abc/dE_b), Q_abc the logit of answer c, E the token
    embedding before the position is added. A sum of equal waves has 1, independent gradients 0. The triples
    are the first of all p^3 (c fastest) after `random.Random(seed).shuffle`; for p above 199, where that list
    no longer fits, `random.Random(seed).sample` of as many; or give them as int[triple, 3]. Where a gradient
    is zero the triple counts as 0.
    Source: Zhong et al. 2023, section 4.1 (100 triples, seed 42).
    """
    cosines = gradient_cosines(acts, triples=triples, seed=seed)
    return float(cosines.sum() / len(cosines))


def gradient_cosines(acts: Activations, *, triples: int | np.ndarray = 100, seed: int = 42) -> np.ndarray:
    """The cosines whose mean is `gradient_symmetricity`, one for each triple, float64 [triple]."""
    if acts.replaced:
        raise InputError(
            f"not applicable to a record in which {', '.join(acts.replaced)} is replaced: gradients are those of the "
            "network's own forward pass"
        )
    chosen = first_triples(acts.task.p, triples, seed) if isinstance(triples, int) else np.asarray(triples)
    if chosen.ndim != 2 or chosen.shape[1] != 3 or not len(chosen):
        raise InputError(f"triples of shape {chosen.shape}: expected (a, b, c) in each of at least one row")
    parts = range(0, len(chosen), _TRIPLES_AT_ONCE)
    return np.concatenate([_cosines(acts.model, chosen[i : i + _TRIPLES_AT_ONCE]) for i in parts])


def first_triples(p: int, count: int = 100, seed: int = 42) -> np.ndarray:
    """The triples (a, b, c) that `gradient_symmetricity` looks at, int[triple, 3]; the shuffle takes a second at p = 113."""
    if not 1 <= count <= p**3:
        raise InputError(f"{count} triples: expected 1 to p^3 = {p**3}")
    if p > 199:
        numbers = random.Random(seed).sample(range(p**3), count)
    else:
        numbers = list(range(p**3))
        random.Random(seed).shuffle(numbers)
        numbers = numbers[:count]
    return np.stack(np.unravel_index(numbers, (p, p, p)), axis=1)


def _cosines(network: Network, triples: np.ndarray) -> np.ndarray:
    tokens = network.pair_tokens(torch.from_numpy(triples[:, 0]), torch.from_numpy(triples[:, 1]))
    with torch.enable_grad():
        embed = network.run(tokens, keep=("embed",))["embed"].detach().requires_grad_()
        logits = network.run(tokens, replace={"embed": embed})["logits"]
        chosen = logits[torch.arange(len(triples)), torch.from_numpy(triples[:, 2])]
        (gradient,) = torch.autograd.grad(chosen.sum(), embed)
    at_a, at_b = residue_positions(network)
    to_a, to_b = gradient[:, at_a].double(), gradient[:, at_b].double()
    return torch.nn.functional.cosine_similarity(to_a, to_b, dim=1, eps=1e-30).numpy()


def turned_logits(logits: np.ndarray, task: ModularTask) -> np.ndarray:
    """Logits by how far an answer is from the right one: [a, b, e] is the logit of answer (label + e) mod p.

    A network that knows the answer alone gives the same wave over e for each pair.

    >>> logits = np.zeros((3, 3, 3)); logits[1, 2, 0] = 5.0
    >>> turned_logits(logits, ModularTask(3))[1, 2].tolist()
    [5.0, 0.0, 0.0]
    """
    p = _checked_logits(logits, task)
    answers = (task.labels[..., None] + np.arange(p)) % p
    return np.take_along_axis(logits[..., :p], answers, axis=2)


def _checked_logits(logits: Logits, task: ModularTask) -> int:
    p = task.p
    if len(logits.shape) != 3 or logits.shape[:2] != (p, p) or logits.shape[2] < p:
        raise InputError(f"logits of shape {logits.shape}: expected [a, b, answer] = ({p}, {p}, {p})")
    return p


def _turn(task: ModularTask) -> int:
    if task.operation not in ("add", "subtract"):
        raise InputError(
            f"operation {task.operation!r}: distances between a and b are defined for add and subtract only"
        )
    return 1 if task.operation == "add" else -1


@public
def distance_irrelevance(logits: Logits, task: ModularTask) -> float:
    """How little the right logit depends on the distance a - b: 0 if on nothing else, about 1 if not at all.

    M[c, d] is the logit of the right answer at a + b = c, a - b = d. The mean over d of the population
    standard deviation of M over c, divided by the standard deviation of all of M (for subtraction a + b takes
    the place of a - b). Logits that are all alike give NaN. Source: Zhong et al. 2023, section 4.2.
    Even p: a + b and a - b have the same parity, so half of M is empty and is left out.

    >>> n = np.arange(5)
    >>> d = np.cos(2 * np.pi * (n[:, None] - n) / 5)
    >>> round(distance_irrelevance(np.repeat(d[..., None], 5, axis=2), ModularTask(5)), 6)
    0.0
    """
    p, sign = _checked_logits(logits, task), _turn(task)
    right = logits_of_labels(logits, task.labels).astype(np.float64)
    n = np.arange(p)
    distance = (n[:, None] - sign * n) % p
    spreads = [right[distance == d].std() for d in range(p) if (distance == d).any()]
    whole = right.std()
    # the rounding of equal logits is no spread
    if whole <= 1e-12 * max(1.0, float(np.abs(right).max())):
        return float("nan")
    return float(np.mean(spreads) / whole)


@public
def circularity(embedding: np.ndarray | xr.DataArray, *, components: int = 4) -> float:
    """How nearly the leading principal components of an embedding are waves of one frequency, from 0 to 1.

    The mean over the first four principal components v (over the tokens, unit root mean square) of the
    largest share of v's energy at one frequency. embedding [token, d_model], the residues only.
    White noise has about 2 ln(p/2) / p. Two circles of equal size have no principal components of their own:
    their waves mix, and the measure falls. Source: Zhong et al. 2023, section 4.3.

    >>> n = 2 * np.pi * np.arange(7) / 7
    >>> waves = np.stack([np.cos(n), np.sin(n), 2 * np.cos(2 * n), 2 * np.sin(2 * n)], axis=1)
    >>> round(circularity(waves), 6)
    1.0
    """
    table = np.asarray(embedding, dtype=np.float64)
    if table.ndim != 2 or components < 1 or min(table.shape) < components:
        raise InputError(
            f"embedding of shape {table.shape}: expected [token, d_model], each at least {components} long"
        )
    centred = table - table.mean(axis=0)
    directions, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    directions = directions[:, :components]
    energy = np.abs(np.fft.rfft(directions, axis=0)) ** 2
    energy[1 : (len(table) + 1) // 2] *= 2
    share = energy[1:].max(axis=0) / len(table)  # a unit vector's energies sum to the number of tokens
    present = sizes[:components] > 1e-12 * max(float(sizes[0]), np.finfo(float).tiny)
    return float(np.clip(np.where(present, share, 0.0).mean(), 0.0, 1.0))


@public
def clock_logits(p: int, k: int) -> np.ndarray:
    """Q_clock[a, b, c] = cos w(a + b - c), w = 2 pi k / p.

    >>> clock_logits(6, 1)[1, 1].round(6).tolist()
    [-0.5, 0.5, 1.0, 0.5, -0.5, -1.0]
    """
    n = _places(p)
    offset = (n[:, None, None] + n[:, None] - n) % p
    return np.cos(2 * np.pi * k * n / p)[offset]


@public
def pizza_logits(p: int, k: int) -> np.ndarray:
    """Q_pizza[a, b, c] = |x.u| - |x.v| of the sum x = (cos wa + cos wb, sin wa + sin wb) of two points of a
    circle, u = (cos wc/2, sin wc/2), v = (sin wc/2, -cos wc/2).

    It equals 2 |cos w(a - b)/2| (|cos w(a + b - c)/2| - |sin w(a + b - c)/2|), w = 2 pi k / p.
    Source: Zhong et al. 2023, equation of the pizza.
    """
    n = _places(p)
    distance, offset = (n[:, None, None] - n[:, None]) % p, (n[:, None, None] + n[:, None] - n) % p
    envelope, wave = _pizza_factors(p, k)
    return envelope[distance] * wave[offset]


def _places(p: int) -> np.ndarray:
    """The residues, where p^3 numbers and what it takes to find them fit into memory."""
    memory.require(24 * modulus(p) ** 3, f"p = {p}: logits of all {p} * {p} pairs")
    return np.arange(p)


def _pizza_factors(p: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The two factors of Q_pizza, over a - b and over a + b - c; both have period p."""
    half = np.pi * k * np.arange(p) / p
    return 2 * np.abs(np.cos(half)), np.abs(np.cos(half)) - np.abs(np.sin(half))


@public
def isolated_circle(network: Network, k: int) -> Network:
    """The network with an embedding that keeps, of the waves over the residues, frequency k and DC alone.

    For the MLP family that is the embedding of each position, or its rows of W_in where tokens are one-hot.
    """
    p = network.config.p
    if not 1 <= k <= p // 2:
        raise InputError(f"frequency {k}: expected 1 to {p // 2} for p = {p}")

    def isolated(rows: torch.Tensor) -> torch.Tensor:
        bins = np.fft.rfft(rows.double().numpy(), axis=0)
        kept = np.zeros_like(bins)
        kept[[0, k]] = bins[[0, k]]
        return torch.from_numpy(np.fft.irfft(kept, n=p, axis=0)).to(network.dtype)

    return with_residue_rows(network, isolated)


@public
def circle_fits(acts: Activations, key_frequencies: list[int] | tuple[int, ...]) -> xr.Dataset:
    """How much of the variance of the logits of each isolated circle Q_clock and Q_pizza explain, over k.

    Variables `clock` and `pizza`: squared correlation over all p^3 (a, b, c); 0 where the logits are constant.
    `clock_standardised` and `pizza_standardised`: the variance of the standardised logits that the standardised form
    explains without a factor, 1 - mean (x - y)^2 = 2 r - 1 for the correlation r, as in the authors' notebook.
    Source: Zhong et al. 2023, table of the isolated circles.
    """
    sign = _turn(acts.task)
    rows = []
    for k in key_frequencies:
        logits = acts.recorded_anew(isolated_circle(acts.model, k)).at("logits").values
        rows.append(_fits(turned_logits(logits, acts.task), k, sign))
    r = np.array(rows).reshape(-1, 2)
    found = {}
    for i, name in enumerate(("clock", "pizza")):
        found[name] = (("k",), r[:, i] ** 2)
        found[f"{name}_standardised"] = (("k",), 2 * r[:, i] - 1)
    return xr.Dataset(found, {"k": [int(k) for k in key_frequencies]})


def _fits(turned: np.ndarray, k: int, sign: int) -> tuple[float, float]:
    """Correlations of logits [a, b, e] with Q_clock and Q_pizza, both functions of a - b and e alone."""
    p = turned.shape[2]
    n = np.arange(p)
    distance = (n[:, None] - sign * n) % p
    # sums over the pairs of one distance are all that a function of a - b and e can see
    profile = np.zeros((p, p))
    for places, row in zip(distance, turned, strict=True):
        profile[places] += row  # each distance once in a row
    count = np.bincount(distance.ravel(), minlength=p)
    mean = profile.sum() / turned.size
    total = float(np.square(turned - mean, dtype=np.float64).sum())
    envelope, wave = _pizza_factors(p, k)
    clock = np.ones((p, 1)) * np.cos(2 * np.pi * k * n / p)
    return _correlation(profile, clock, count, mean, total), _correlation(
        profile, envelope[:, None] * wave, count, mean, total
    )


def _correlation(
    profile: np.ndarray, form: np.ndarray, count: np.ndarray, mean: float, total: float
) -> float:
    pairs = count[:, None]
    form = form - (form * pairs).sum() / (pairs.sum() * form.shape[1])
    energy = float((form**2 * pairs).sum())
    if total <= 0 or energy <= 0:
        return 0.0
    return float(((profile - mean * pairs) * form).sum() / np.sqrt(energy * total))

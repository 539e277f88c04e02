"""From tables to logits and losses, for one block of pairs: parts of the compiled kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from modscope.training.compiling import part
from modscope.training.registers import (
    count_ones,
    exponentials,
    fma,
    largest,
    load,
    number,
    positive_part,
    power_of_two,
    put,
    scaled,
    store,
    total,
    trailing_zeros,
    where_positive,
)

__all__ = ["ONE", "add_logits", "exp", "fill_activations", "fill_logits", "softmax_block", "turn_bits"]

ONE = np.uint64(1)
LOWEST = np.float32(-3.0e38)  # below every logit


@part
def exp(x: Any) -> Any:
    """exp(x) for x <= 0 to 1e-7 relative; exactly 1 at 0, and 0 below -46 (1e-20), so nothing is denormal."""
    inside = x > np.float32(-46.0)
    x = x if inside else np.float32(0.0)
    n = np.int32(x * np.float32(1.44269504) - np.float32(0.5))
    turns = np.float32(n)
    f = x - turns * np.float32(0.693359375) + turns * np.float32(2.12194440e-4)
    y = np.float32(1.9875691500e-4)
    y = y * f + np.float32(1.3981999507e-3)
    y = y * f + np.float32(8.3334519073e-3)
    y = y * f + np.float32(4.1665795894e-2)
    y = y * f + np.float32(1.6666665459e-1)
    y = y * f + np.float32(5.0000001201e-1)
    y = y * f * f + f + np.float32(1.0)
    return y * power_of_two(n) if inside else np.float32(0.0)


@part
def _pair_row(pair, column, pairs, tables, step, lanes):
    """Part of the row u of a pair: base plus its weighted table rows, `step` numbers from term to term."""
    base, left, right, weights_left, weights_right, _ = tables
    columns, count = left.shape[1], weights_left.shape[1]
    at_left, at_right = number(pairs[0], pair) * columns + column, number(pairs[1], pair) * columns + column
    u = load(base, 0, column, lanes)
    for term in range(count):
        u = fma(number(weights_left, pair * count + term), load(left, 0, at_left + term * step, lanes), u)
        u = fma(number(weights_right, pair * count + term), load(right, 0, at_right + term * step, lanes), u)
    return u


@part
def fill_logits(logits, start, count, neurons, pairs, tables, lanes):
    """The logits of the skip path."""
    step = len(tables[1]) // tables[3].shape[1] * tables[1].shape[1]
    for chunk in range(0, logits.shape[1], 16 * len(lanes)):
        for row in range(count):
            u = _pair_row(start + row, neurons + chunk, pairs, tables, step, lanes)
            store(logits, row, chunk, u)


@part
def fill_activations(post, active, first, start, count, pairs, tables, word):
    """relu(pre) of a word of neurons, from `first` on, and in `active` which bits of it are above zero."""
    step = len(tables[1]) // tables[3].shape[1] * tables[1].shape[1]
    for row in range(count):
        u = _pair_row(start + row, first, pairs, tables, step, word)
        put(active, row, where_positive(u))
        store(post, row, 0, positive_part(u))


@part
def add_logits(logits, post, active, first, count, C, lanes):
    """Add relu(pre) C to the logits, from the active neurons of a word only."""
    size = post.shape[1]
    for chunk in range(0, C.shape[1], 16 * len(lanes)):
        for row in range(count):
            sums = load(logits, row, chunk, lanes)
            bits = active[row]
            while bits != 0:
                neuron = trailing_zeros(bits)
                bits &= bits - ONE
                sums = fma(number(post, row * size + neuron), load(C, first + neuron, chunk, lanes), sums)
            store(logits, row, chunk, sums)


@part
def _softmax_row(logits, row, label, last_answer, share, lanes):
    """Relative logits become their gradient; returns the loss, and whether the answer was right.

    Written without p - 1: the gradient at the label is minus the sum of the others, and the loss is log1p of
    that sum, so both keep their digits when the loss is 1e-9. The last answer has no column: its logit is 0.
    An answer is right where its logit is above all others: one that ties is not.
    """
    columns, width = logits.shape[1], 16 * len(lanes)
    top, own = LOWEST, np.float32(0.0)
    if label < last_answer:
        top, own = np.float32(0.0), logits[row, label]
        logits[row, label] = LOWEST
    for chunk in range(0, columns, width):
        top = max(top, largest(load(logits, row, chunk, lanes)))
    right = 1 if own > top else 0
    top = max(top, own)
    others = np.float32(0.0)
    if label < last_answer:
        others = exp(-top)
    for chunk in range(0, columns, width):
        e = exponentials(load(logits, row, chunk, lanes), top, label - chunk)
        others += total(e)
        store(logits, row, chunk, e)
    mine = exp(own - top)
    factor = share / (others + mine)
    for chunk in range(0, columns, width):
        store(logits, row, chunk, scaled(factor, load(logits, row, chunk, lanes)))
    if label < last_answer:
        logits[row, label] = -others * factor
    if own >= top:
        return np.log1p(np.float64(others)), right
    return np.log(np.float64(others) + np.float64(mine)) + np.float64(top) - np.float64(own), right


@part
def softmax_block(logits, start, count, labels, last_answer, share, lanes):
    """The logits of a block become their gradient; returns the summed loss and how many answers were right."""
    loss, right = 0.0, 0
    for row in range(count):
        row_loss, row_right = _softmax_row(logits, row, labels[start + row], last_answer, share, lanes)
        loss += row_loss
        right += row_right
    return loss, right


@part
def _swap_halves(words, count, size, mask):
    """One step of turning bits over: of each 2 * size rows, swap what lies across the diagonal."""
    for first in range(0, count, 2 * size):
        for row in range(first, first + size):
            swap = ((words[row] >> np.uint64(size)) ^ words[row + size]) & mask
            words[row] ^= swap << np.uint64(size)
            words[row + size] ^= swap


@part
def turn_bits(active, count, size, by_neuron, counts, first):
    """by_neuron[first + n] has bit r where active[r] has bit n, and is counted; `size` words, 32 or 64, are turned in place."""
    for row in range(count, size):
        active[row] = np.uint64(0)
    if size == 64:
        _swap_halves(active, 64, 32, np.uint64(0x00000000FFFFFFFF))
    _swap_halves(active, size, 16, np.uint64(0x0000FFFF0000FFFF))
    _swap_halves(active, size, 8, np.uint64(0x00FF00FF00FF00FF))
    _swap_halves(active, size, 4, np.uint64(0x0F0F0F0F0F0F0F0F))
    _swap_halves(active, size, 2, np.uint64(0x3333333333333333))
    _swap_halves(active, size, 1, np.uint64(0x5555555555555555))
    for neuron in range(size):
        by_neuron[first + neuron] = active[neuron]
        counts[first + neuron] += count_ones(active[neuron])

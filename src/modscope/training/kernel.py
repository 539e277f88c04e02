"""Loss and gradient of the tables, on the pairs of one thread: compiled by numba.

Pairs are taken in blocks of 64, so that all that a block needs stays in the first two caches, and so that
which of its pairs activate a neuron is one machine word. The three large products (logits, gradient of C,
gradient of the activations) pass over every inactive (pair, neuron).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from modscope.training.registers import (
    count_ones,
    dot,
    fma,
    four_sums,
    largest,
    load,
    positive_part,
    power_of_two,
    products,
    store,
    total,
    trailing_zeros,
    where_positive,
    zeros,
)

__all__ = ["BLOCK", "MASKED", "pair_gradients", "pair_scores", "softmax_back", "softmax_weights"]

BLOCK = 64
MASKED = np.float32(-1e30)  # the logit of a column that only fills up a register
_FOUR = (0, 0, 0, 0)
_ONE = np.uint64(1)

# Reassociation lets loops over a row become SIMD; NaN and infinity keep their meaning, the loss reports them.
_OPTIONS = {
    "nogil": True,
    "boundscheck": False,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz", "arcp"},
}
# Parts are always inlined: one that stays a function of its own is optimised on its own, and then code fresh
# from the compiler and the same code loaded from its cache can differ in the last bit.
_part = njit(forceinline=True, **_OPTIONS)


def _compiled(function: Callable[..., Any]) -> Any:
    """The function compiled, and kept on disk for the next process where numba may write."""
    try:
        return njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:
        return njit(**_OPTIONS)(function)


@_part
def _exp(x: Any) -> Any:
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


@_part
def _pair_row(pair, column, terms, p, a, b, base, left, right, weights_left, weights_right, lanes):
    """Part of the row u of a pair: base plus its weighted table rows."""
    u = load(base, 0, column, lanes)
    for term in range(terms):
        u = fma(weights_left[pair, term], load(left, term * p + a, column, lanes), u)
        u = fma(weights_right[pair, term], load(right, term * p + b, column, lanes), u)
    return u


@_part
def _fill_block(block, active, start, count, pairs, tables, lanes):
    """Rows u of the block: positive parts of the pre-activations, their bits, logits of the skip path."""
    a, b, _ = pairs
    base, left, right, weights_left, weights_right, _ = tables
    terms = weights_left.shape[1]
    p = len(left) // terms
    neurons, end, width = 64 * active.shape[1], base.shape[1], 16 * len(lanes)
    for row in range(count):
        pair = start + row
        for column in range(0, neurons, 64):
            u = _pair_row(
                pair,
                column,
                terms,
                p,
                a[pair],
                b[pair],
                base,
                left,
                right,
                weights_left,
                weights_right,
                _FOUR,
            )
            active[row, column // 64] = where_positive(u)
            store(block, row, column, positive_part(u))
        for column in range(neurons, end, width):
            u = _pair_row(
                pair,
                column,
                terms,
                p,
                a[pair],
                b[pair],
                base,
                left,
                right,
                weights_left,
                weights_right,
                lanes,
            )
            store(block, row, column, u)


@_part
def _add_logits(block, active, count, C, lanes):
    """Add relu(pre) C to the logits, from active neurons only."""
    words, width = active.shape[1], 16 * len(lanes)
    for chunk in range(0, C.shape[1], width):
        for word in range(words):
            for row in range(count):
                logits = load(block, row, words * 64 + chunk, lanes)
                bits = active[row, word]
                while bits != 0:
                    neuron = word * 64 + trailing_zeros(bits)
                    bits &= bits - _ONE
                    logits = fma(block[row, neuron], load(C, neuron, chunk, lanes), logits)
                store(block, row, words * 64 + chunk, logits)


@_part
def _softmax_row(logits, label, last_answer, share, top):
    """Relative logits become their gradient; returns the loss, and whether the answer was right.

    Written without p - 1: the gradient at the label is minus the sum of the others, and the loss is log1p of
    that sum, so both keep their digits when the loss is 1e-9. The last answer has no column: its logit is 0.
    """
    columns = len(logits)
    own = np.float32(0.0)
    others = np.float32(0.0)
    if label < last_answer:
        own = logits[label]
        logits[label] = MASKED
        others = _exp(-top)
    for column in range(columns):
        e = _exp(logits[column] - top)
        logits[column] = e
        others += e
    mine = _exp(own - top)
    factor = share / (others + mine)
    for column in range(columns):
        logits[column] *= factor
    if label < last_answer:
        logits[label] = -others * factor
    if own >= top:
        return np.log1p(np.float64(others)), 1
    return np.log(np.float64(others) + np.float64(mine)) + np.float64(top) - np.float64(own), 0


@_part
def _softmax_block(block, start, count, neurons, labels, last_answer, share, lanes):
    end = block.shape[1]
    loss, right = 0.0, 0
    for row in range(count):
        top = np.float32(0.0)
        for column in range(neurons, end, 16 * len(lanes)):
            top = max(top, largest(load(block, row, column, lanes)))
        label = labels[start + row]
        row_loss, row_right = _softmax_row(block[row, neurons:], label, last_answer, share, top)
        loss += row_loss
        right += row_right
    return loss, right


@_part
def _transpose_bits(active, count, square, by_neuron):
    """by_neuron[n] has bit r where active[r] has bit n: 64 x 64 bits at a time, halves swapped."""
    for word in range(active.shape[1]):
        for row in range(64):
            square[row] = active[row, word] if row < count else np.uint64(0)
        size = 32
        mask = np.uint64(0x00000000FFFFFFFF)
        while size != 0:
            row = 0
            while row < 64:
                swap = ((square[row] >> np.uint64(size)) ^ square[row + size]) & mask
                square[row] ^= swap << np.uint64(size)
                square[row + size] ^= swap
                row = (row + size + 1) & ~size
            size >>= 1
            mask ^= mask << np.uint64(size)
        for row in range(64):
            by_neuron[word * 64 + row] = square[row]


@_part
def _back_through_neurons(block, back, by_neuron, C, grad_C, lanes):
    """The gradients of C and of the pre-activations (in `back`), from active pairs only."""
    neurons, width = len(by_neuron), 16 * len(lanes)
    for chunk in range(0, C.shape[1], width):
        at = neurons + chunk
        for neuron in range(neurons):
            c = load(C, neuron, chunk, lanes)
            grad = load(grad_C, neuron, chunk, lanes)
            bits = by_neuron[neuron]
            for _ in range(count_ones(bits) // 4):
                first = trailing_zeros(bits)
                bits &= bits - _ONE
                second = trailing_zeros(bits)
                bits &= bits - _ONE
                third = trailing_zeros(bits)
                bits &= bits - _ONE
                fourth = trailing_zeros(bits)
                bits &= bits - _ONE
                logits = load(block, first, at, lanes)
                grad = fma(block[first, neuron], logits, grad)
                of_first = products(c, logits)
                logits = load(block, second, at, lanes)
                grad = fma(block[second, neuron], logits, grad)
                of_second = products(c, logits)
                logits = load(block, third, at, lanes)
                grad = fma(block[third, neuron], logits, grad)
                of_third = products(c, logits)
                logits = load(block, fourth, at, lanes)
                grad = fma(block[fourth, neuron], logits, grad)
                sums = four_sums(of_first, of_second, of_third, products(c, logits))
                back[first, neuron] += sums[0]
                back[second, neuron] += sums[1]
                back[third, neuron] += sums[2]
                back[fourth, neuron] += sums[3]
            while bits != 0:
                row = trailing_zeros(bits)
                bits &= bits - _ONE
                logits = load(block, row, at, lanes)
                grad = fma(block[row, neuron], logits, grad)
                back[row, neuron] += dot(c, logits)
            store(grad_C, neuron, chunk, grad)


@_part
def _back_to_weights(back, start, count, neurons, pairs, tables, grads, lanes):
    """The gradient of a pair's weight of a table row is the scalar product of that row and the pair's."""
    a, b, _ = pairs
    _, left, right, weights_left, _, _ = tables
    grad_left, grad_right = grads[3], grads[4]
    terms = weights_left.shape[1]
    p = len(left) // terms
    for row in range(count):
        pair = start + row
        for term in range(terms):
            of_left, of_right = zeros(_FOUR), zeros(_FOUR)
            for column in range(0, neurons, 64):
                d = load(back, row, column, _FOUR)
                of_left = fma(d, load(left, term * p + a[pair], column, _FOUR), of_left)
                of_right = fma(d, load(right, term * p + b[pair], column, _FOUR), of_right)
            in_left, in_right = zeros(lanes), zeros(lanes)
            for column in range(neurons, left.shape[1], 16 * len(lanes)):
                d = load(back, row, column, lanes)
                in_left = fma(d, load(left, term * p + a[pair], column, lanes), in_left)
                in_right = fma(d, load(right, term * p + b[pair], column, lanes), in_right)
            grad_left[pair, term] = total(of_left) + total(in_left)
            grad_right[pair, term] = total(of_right) + total(in_right)


@_part
def _back_to_columns(back, start, count, column, pairs, tables, grads, lanes):
    """Some columns of the gradients of base and tables; the part of the tables that a block meets stays in cache."""
    a, b, _ = pairs
    weights_left, weights_right = tables[3], tables[4]
    grad_base, grad_left, grad_right = grads[0], grads[1], grads[2]
    terms = weights_left.shape[1]
    p = len(grad_left) // terms
    whole = load(grad_base, 0, column, lanes)
    for row in range(count):
        pair = start + row
        d = load(back, row, column, lanes)
        whole = fma(1.0, d, whole)
        for term in range(terms):
            token = term * p + a[pair]
            grad = load(grad_left, token, column, lanes)
            store(grad_left, token, column, fma(weights_left[pair, term], d, grad))
            token = term * p + b[pair]
            grad = load(grad_right, token, column, lanes)
            store(grad_right, token, column, fma(weights_right[pair, term], d, grad))
    store(grad_base, 0, column, whole)


@_part
def _back_to_tables(back, start, count, neurons, pairs, tables, grads, lanes):
    _back_to_weights(back, start, count, neurons, pairs, tables, grads, lanes)
    for column in range(0, neurons, 64):
        _back_to_columns(back, start, count, column, pairs, tables, grads, _FOUR)
    for column in range(neurons, back.shape[1], 16 * len(lanes)):
        _back_to_columns(back, start, count, column, pairs, tables, grads, lanes)


@_compiled
def pair_gradients(first, last, pairs, tables, grads, scratch, last_answer, share, lanes):
    """Summed loss and right answers of the pairs first..last-1, and their gradients in `grads`.

    pairs: (a, b, label). tables, grads: (base [1, column], left and right [term * p + token, column], weights
    left and right [pair, term], C [neuron, answer]). scratch: (block [64, column], back [64, column], active
    [64, word], square [64], by_neuron [neuron], counts [neuron]); counts is of the pairs that activate it.
    Neurons fill words of 64, and the columns of logits rows of `lanes`. share: weight of a pair in the loss.
    """
    block, back, active, square, by_neuron, counts = scratch
    C = tables[5]
    neurons = len(C)
    labels = pairs[2]
    grad_base, grad_left, grad_right, _, _, grad_C = grads
    grad_base[:] = np.float32(0.0)
    grad_left[:] = np.float32(0.0)
    grad_right[:] = np.float32(0.0)
    grad_C[:] = np.float32(0.0)
    counts[:] = 0
    loss, right = 0.0, 0
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        _fill_block(block, active, start, count, pairs, tables, lanes)
        _add_logits(block, active, count, C, lanes)
        block_loss, block_right = _softmax_block(
            block, start, count, neurons, labels, last_answer, share, lanes
        )
        loss += block_loss
        right += block_right
        back[:count, :neurons] = np.float32(0.0)
        back[:count, neurons:] = block[:count, neurons:]
        _transpose_bits(active, count, square, by_neuron)
        for neuron in range(neurons):
            counts[neuron] += count_ones(by_neuron[neuron])
        _back_through_neurons(block, back, by_neuron, C, grad_C, lanes)
        _back_to_tables(back, start, count, neurons, pairs, tables, grads, lanes)
    return loss, right


@_compiled
def pair_scores(first, last, pairs, tables, scratch, last_answer, lanes):
    """Summed loss and right answers of the pairs first..last-1; arguments as in `pair_gradients`."""
    block, active = scratch[0], scratch[2]
    C, labels = tables[5], pairs[2]
    loss, right = 0.0, 0
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        _fill_block(block, active, start, count, pairs, tables, lanes)
        _add_logits(block, active, count, C, lanes)
        block_loss, block_right = _softmax_block(
            block, start, count, len(C), labels, last_answer, np.float32(1.0), lanes
        )
        loss += block_loss
        right += block_right
    return loss, right


@_compiled
def softmax_weights(first, last, pairs, to_left, to_right, weights_left, weights_right):
    """Attention of the pairs first..last-1 to a and to b, from scores [token, head] relative to that of "="."""
    a, b, _ = pairs
    for pair in range(first, last):
        for head in range(to_left.shape[1]):
            x, y = to_left[a[pair], head], to_right[b[pair], head]
            top = max(x, y, np.float32(0.0))
            e_x, e_y = _exp(x - top), _exp(y - top)
            share = np.float32(1.0) / (e_x + e_y + _exp(-top))
            weights_left[pair, head] = e_x * share
            weights_right[pair, head] = e_y * share


@_compiled
def softmax_back(first, last, pairs, weights, grads, to_left, to_right):
    """Gradients of the scores from those of the weights (left, right), of the pairs first..last-1."""
    a, b, _ = pairs
    weights_left, weights_right = weights
    grad_left, grad_right = grads
    to_left[:] = np.float32(0.0)
    to_right[:] = np.float32(0.0)
    for pair in range(first, last):
        for head in range(to_left.shape[1]):
            left, right = weights_left[pair, head], weights_right[pair, head]
            mean = left * grad_left[pair, head] + right * grad_right[pair, head]
            to_left[a[pair], head] += left * (grad_left[pair, head] - mean)
            to_right[b[pair], head] += right * (grad_right[pair, head] - mean)

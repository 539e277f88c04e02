"""Loss and gradient of the tables, on the pairs of one thread: compiled by numba.

Pairs are taken in blocks and neurons in words of at most 64, so that which pairs of a block activate a neuron, and
which neurons of a word a pair, is one machine word, and so that what is read again and again stays in the first cache:
a word's rows of C on the way to the logits, a block's rows of logits on the way back. The three large products (logits,
gradient of C, gradient of the activations) pass over every inactive (pair, neuron). How many pairs, neurons and
registers to a row suit a processor is said by `modscope.training.processor`.
"""

from __future__ import annotations

import numpy as np

from modscope.training.backwards import back_at_once, back_in_turn, back_to_tables, clear, give_shares
from modscope.training.compiling import compiled, part
from modscope.training.forwards import (
    add_logits,
    exp,
    fill_activations,
    fill_logits,
    softmax_block,
    turn_bits,
)

__all__ = ["MASKED", "pair_gradients", "pair_scores", "softmax_back", "softmax_weights"]

MASKED = np.float32(-1e30)  # the logit of a column that only fills up a register


@part
def _forward(start, count, pairs, tables, scratch, lanes, word):
    """Activations, the pairs that activate each neuron, and logits of a block."""
    post, logits, _, active, by_neuron, counts = scratch[:6]
    C, size = tables[5], post.shape[2]
    bits = 64 if max(size, post.shape[1]) > 32 else 32
    fill_logits(logits, start, count, len(C), pairs, tables, lanes)
    for first in range(0, len(C), size):
        activations = post[first // size]
        fill_activations(activations, active, first, start, count, pairs, tables, word)
        add_logits(logits, activations, active, first, count, C, lanes)
        turn_bits(active, count, bits, by_neuron, counts, first)


@part
def _backward(start, count, pairs, tables, grads, scratch, lanes, word, in_turn):
    """The gradients of a block, from that of its logits."""
    post, logits, back, _, by_neuron, _, shares, parts, places, sums = scratch
    C, grad_C = tables[5], grads[5]
    neurons, size = len(C), post.shape[2]
    for chunk in range(0, C.shape[1], 16 * len(lanes)):
        at = neurons + chunk
        back_to_tables(logits, chunk, at, start, count, pairs, tables, grads, shares, parts, lanes)
    for first in range(0, neurons, size):
        activations = post[first // size]
        clear(back, count, word)
        if in_turn is None:
            back_at_once(logits, activations, back, by_neuron, first, C, grad_C, parts, places, sums, lanes)
        else:
            back_in_turn(logits, activations, back, by_neuron, first, C, grad_C, parts, places, sums, lanes)
        back_to_tables(back, 0, first, start, count, pairs, tables, grads, shares, parts, word)
    give_shares(shares, start, count, grads)


@compiled
def pair_gradients(first, last, pairs, tables, grads, scratch, last_answer, share, lanes, word, in_turn):
    """Summed loss and right answers of the pairs first..last-1, and their gradients in `grads`.

    pairs: (a, b, label). tables, grads: (base [1, column], left and right [term * p + token, column], weights
    left and right [pair, term], C [neuron, answer]). scratch: (activations [word, pair, neuron], logits [pair, answer],
    back [pair + 1, neuron], active [64], by_neuron [neuron], counts [neuron], shares [pair, term], parts [72, 16], places
    [72], sums [8]) with the pairs of a block and the neurons of a word; counts is of the pairs that activate each neuron.
    Neurons fill words, and the columns of logits rows of `lanes`; lanes and word are tuples of as many registers.
    share: weight of a pair in the loss. in_turn: None where two rows of `lanes` can be held at once.
    """
    post, logits, counts = scratch[0], scratch[1], scratch[5]
    for k in (0, 1, 2, 5):
        grads[k][:] = np.float32(0.0)
    counts[:] = 0
    loss, right = 0.0, 0
    for start in range(first, last, post.shape[1]):
        count = min(post.shape[1], last - start)
        _forward(start, count, pairs, tables, scratch, lanes, word)
        block_loss, block_right = softmax_block(logits, start, count, pairs[2], last_answer, share, lanes)
        loss += block_loss
        right += block_right
        _backward(start, count, pairs, tables, grads, scratch, lanes, word, in_turn)
    return loss, right


@compiled
def pair_scores(first, last, pairs, tables, scratch, last_answer, lanes, word):
    """Summed loss and right answers of the pairs first..last-1; arguments as in `pair_gradients`."""
    post, logits = scratch[0], scratch[1]
    loss, right = 0.0, 0
    for start in range(first, last, post.shape[1]):
        count = min(post.shape[1], last - start)
        _forward(start, count, pairs, tables, scratch, lanes, word)
        block_loss, block_right = softmax_block(
            logits, start, count, pairs[2], last_answer, np.float32(1.0), lanes
        )
        loss += block_loss
        right += block_right
    return loss, right


@compiled
def softmax_weights(first, last, pairs, to_left, to_right, weights_left, weights_right):
    """Attention of the pairs first..last-1 to a and to b, from scores [token, head] relative to that of "="."""
    a, b, _ = pairs
    for pair in range(first, last):
        for head in range(to_left.shape[1]):
            x, y = to_left[a[pair], head], to_right[b[pair], head]
            top = max(x, y, np.float32(0.0))
            e_x, e_y = exp(x - top), exp(y - top)
            share = np.float32(1.0) / (e_x + e_y + exp(-top))
            weights_left[pair, head] = e_x * share
            weights_right[pair, head] = e_y * share


@compiled
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

"""From the gradient of the logits to those of C and of the tables, for one block of pairs: parts of the kernel."""

from __future__ import annotations

from modscope.training.compiling import part
from modscope.training.forwards import ONE
from modscope.training.registers import (
    add_eight_sums,
    eight_sums,
    fma,
    load,
    number,
    products,
    put,
    store,
    trailing_zeros,
    zeros,
)

__all__ = ["back_at_once", "back_in_turn", "back_to_tables", "clear", "give_shares"]


@part
def clear(array, count, lanes):
    """Zero the first rows of an array."""
    for row in range(count):
        for column in range(0, array.shape[1], 16 * len(lanes)):
            store(array, row, column, zeros(lanes))


@part
def _scatter_sums(back, neuron, chunk, places, parts, sums, found):
    """Add the sums of the first `found` parts to their pairs; what fills up the last eight goes to a row nobody reads."""
    spare = (len(back) - 1) * back.shape[1]
    for k in range(7):
        put(places, found + k, spare)
    for k in range(0, found, 8):
        eight_sums(parts, k, sums)
        if chunk == 0:
            for i in range(8):
                put(back, number(places, k + i) + neuron, number(sums, i))
        else:
            for i in range(8):
                place = number(places, k + i) + neuron
                put(back, place, number(back, place) + number(sums, i))


@part
def back_at_once(logits, post, back, by_neuron, first, C, grad_C, parts, places, sums, lanes):
    """The gradients of C and of a word of pre-activations (in `back`), from active pairs only.

    Both while the row of a pair is loaded, where the registers hold the neuron's rows of C and of its gradient.
    """
    size = post.shape[1]
    for chunk in range(0, C.shape[1], 16 * len(lanes)):
        for neuron in range(size):
            c = load(C, first + neuron, chunk, lanes)
            grad = load(grad_C, first + neuron, chunk, lanes)
            bits = by_neuron[first + neuron]
            found = 0
            while bits != 0:
                pair = trailing_zeros(bits)
                bits &= bits - ONE
                row = load(logits, pair, chunk, lanes)
                grad = fma(number(post, pair * size + neuron), row, grad)
                store(parts, found, 0, products(c, row))
                put(places, found, pair * size)
                found += 1
            store(grad_C, first + neuron, chunk, grad)
            _scatter_sums(back, neuron, chunk, places, parts, sums, found)


@part
def back_in_turn(logits, post, back, by_neuron, first, C, grad_C, parts, places, sums, lanes):
    """As `back_at_once`, where the registers hold one row and not two."""
    size = post.shape[1]
    for chunk in range(0, C.shape[1], 16 * len(lanes)):
        for neuron in range(size):
            c = load(C, first + neuron, chunk, lanes)
            bits = by_neuron[first + neuron]
            found = 0
            while bits != 0:
                pair = trailing_zeros(bits)
                bits &= bits - ONE
                store(parts, found, 0, products(c, load(logits, pair, chunk, lanes)))
                put(places, found, pair * size)
                found += 1
            grad = load(grad_C, first + neuron, chunk, lanes)
            bits = by_neuron[first + neuron]
            while bits != 0:
                pair = trailing_zeros(bits)
                bits &= bits - ONE
                grad = fma(number(post, pair * size + neuron), load(logits, pair, chunk, lanes), grad)
            store(grad_C, first + neuron, chunk, grad)
            _scatter_sums(back, neuron, chunk, places, parts, sums, found)


@part
def back_to_tables(source, chunk, column, start, count, pairs, tables, grads, shares, parts, lanes):
    """From some columns of the gradient of u: those columns of base's and the tables' gradients, and a part of `shares`.

    The gradient of a pair's weight of a table row is the scalar product of that row and the pair's.
    """
    _, left, right, weights_left, weights_right, _ = tables
    grad_base, grad_left, grad_right = grads[0], grads[1], grads[2]
    columns, size = left.shape[1], weights_left.shape[1]
    step = len(left) // size * columns
    whole = load(grad_base, 0, column, lanes)
    for row in range(count):
        pair = start + row
        at_left, at_right = (
            number(pairs[0], pair) * columns + column,
            number(pairs[1], pair) * columns + column,
        )
        d = load(source, row, chunk, lanes)
        whole = fma(1.0, d, whole)
        for term in range(size):
            place = at_left + term * step
            store(parts, 2 * term, 0, products(d, load(left, 0, place, lanes)))
            weight = number(weights_left, pair * size + term)
            store(grad_left, 0, place, fma(weight, d, load(grad_left, 0, place, lanes)))
            place = at_right + term * step
            store(parts, 2 * term + 1, 0, products(d, load(right, 0, place, lanes)))
            weight = number(weights_right, pair * size + term)
            store(grad_right, 0, place, fma(weight, d, load(grad_right, 0, place, lanes)))
        for k in range(0, 2 * size, 8):
            add_eight_sums(parts, k, shares, row * shares.shape[1] + k)
    store(grad_base, 0, column, whole)


@part
def give_shares(shares, start, count, grads):
    """The gradients of the weights of a block's pairs, and zero again where they were gathered."""
    grad_left, grad_right = grads[3], grads[4]
    for row in range(count):
        for term in range(grad_left.shape[1]):
            grad_left[start + row, term] = shares[row, 2 * term]
            grad_right[start + row, term] = shares[row, 2 * term + 1]
        for k in range(shares.shape[1]):
            shares[row, k] = 0.0

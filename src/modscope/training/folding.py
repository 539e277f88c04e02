"""Tables of the published kind of network, and room for the way back: compiled, all threads together.

The same formulas as `modscope.training.tables`, for "=", attention rate 1 and no biases in attention. By hand, because
what automatic differentiation adds to them (intermediate arrays, first touched in every step) takes longer than they do.
Each thread has its share of the neurons, of the columns of the tables, of the rows of tokens and of the heads; where one
needs what others made, all meet, and what all add to is kept apart for each thread and summed after the next meeting.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from modscope.model import TransformerConfig
from modscope.training.compiling import compiled, part
from modscope.training.crew import meet
from modscope.training.products import multiply
from modscope.training.registers import LANES
from modscope.training.rows import clear, copy, dot, sign

__all__ = ["Room", "Share", "Weights", "fold"]


class Weights(NamedTuple):
    """The network's weights, or their gradients; biases [1, place], zeros where the network has none."""

    W_E: np.ndarray  # [token, d_model], "=" the last
    W_pos: np.ndarray  # [3, d_model]
    W_Q: np.ndarray  # [head, d_model, d_head]
    W_K: np.ndarray
    W_V: np.ndarray
    W_O: np.ndarray  # [head * d_head, d_model]
    W_in: np.ndarray  # [d_model, neuron]
    b_in: np.ndarray
    W_out: np.ndarray  # [neuron, d_model]
    b_out: np.ndarray
    W_U: np.ndarray  # [d_model, answer]
    b_U: np.ndarray


class Room(NamedTuple):
    """What is kept between folding and unfolding, and room for it; a row is a token, or a position (last three)."""

    relative: np.ndarray  # [thread, d_model, answer - 1]: W_U relative to the last answer
    linear: np.ndarray  # [neuron, answer - 1]: C of the turned neurons
    read: np.ndarray  # [d_model, column]: what the tables read of the stream
    through: np.ndarray  # [head * d_head, column]: W_O read
    values: np.ndarray  # [head, row, d_head]
    carried: np.ndarray  # [head, row, column]: values carried to the tables, later the gradient of that
    tokens: np.ndarray  # [row, d_model]
    stream: np.ndarray  # [thread, 1, d_model]: the embedding at "="
    q: np.ndarray  # [head, d_head]: the query of "=", over the root of d_head
    key: np.ndarray  # [head, d_model]: W_K q
    of_base: np.ndarray  # gradients of what the names say, [1, column]
    of_read: np.ndarray  # [d_model, column]
    of_through: np.ndarray  # [head * d_head, column]
    of_c: np.ndarray  # [neuron, answer - 1]
    of_values: np.ndarray  # [thread, head * row, d_head]
    of_out: np.ndarray  # [thread, head * d_head, d_model]
    of_tokens: np.ndarray  # [thread, row, d_model]
    of_stream: np.ndarray  # [thread, 1, d_model]
    of_relative: np.ndarray  # [thread, d_model, answer - 1]
    of_scores: np.ndarray  # [head, row + d_model + d_head]: of a head's scores, its key, its query

    @classmethod
    def of(cls, config: TransformerConfig, columns: int, threads: int) -> Room:
        """Room for a network whose tables have so many columns."""
        d, heads, size, rows = config.d_model, config.n_heads, config.head_size, config.vocabulary + 3
        answers, neurons = config.answers - 1, config.d_mlp
        shapes = {
            "relative": (threads, d, answers), "linear": (neurons, answers), "read": (d, columns),
            "through": (heads * size, columns), "values": (heads, rows, size), "carried": (heads, rows, columns),
            "tokens": (rows, d), "stream": (threads, 1, d), "q": (heads, size), "key": (heads, d),
            "of_base": (1, columns), "of_read": (d, columns), "of_through": (heads * size, columns),
            "of_c": (neurons, answers), "of_values": (threads, heads * rows, size), "of_out": (threads, heads * size, d),
            "of_tokens": (threads, rows, d), "of_stream": (threads, 1, d), "of_relative": (threads, d, answers),
            "of_scores": (heads, rows + d + size),
        }  # fmt: skip
        # Torch begins each array on a line of the cache.
        return cls(**{name: torch.zeros(shape).numpy() for name, shape in shapes.items()})


class Share(NamedTuple):
    """First and last of what a thread takes on: neurons, answers, rows, heads, places of the stream."""

    neurons: tuple[int, int]
    answers: tuple[int, int]
    rows: tuple[int, int]
    heads: tuple[int, int]
    stream: tuple[int, int]

    @classmethod
    def of(cls, config: TransformerConfig, i: int, threads: int) -> Share:
        """Thread i's."""
        sizes = config.d_mlp, config.answers - 1, config.vocabulary + 3, config.n_heads, config.d_model
        return cls(*((_edge(size, i, threads), _edge(size, i + 1, threads)) for size in sizes))


def _edge(size: int, i: int, threads: int) -> int:
    """Where thread i's share of so many begins, at a whole register where there are enough."""
    step = LANES if size >= LANES * threads else 1
    return size if i == threads else size * i // threads // step * step


@compiled
def fold(i, threads, counter, share, weights, turned, room, base, left, right, C, to_left, to_right):
    """Fill the tables, and the scores of each token relative to that of "=", to_left and to_right [token, head].

    turned [neuron]: 1 where a neuron's sign is turned, else 0. base [1, column], left and right [head * p + token,
    column] and C [neuron, answer] have the neurons first and the answers from where the last columns begin.
    """
    # Parts are given arrays, not the tuples: the compiler takes four times as long for those.
    relative, stream, start = room.relative[i], room.stream[i], base.shape[1] - C.shape[1]
    _fold_neurons(share.neurons, weights.W_out, weights.W_U, turned, relative, room.linear, C)
    _fold_rows(share.rows, weights.W_E, weights.W_pos, weights.W_V, room.tokens, room.values, stream)
    for head in range(share.heads[0], share.heads[1]):
        query, key = room.q[head], room.key[head]
        _fold_query(weights.W_Q[head], weights.W_K[head], stream[0], query, key)
        _fold_scores(head, weights.W_E, weights.W_pos, key, to_left, to_right)
    meet(counter, threads)
    first, last = share.neurons
    _fold_read_of_neurons(first, last, weights.W_in, weights.b_in, turned, room.read, base)
    first, last = share.answers
    read, here = room.read[:, start + first : start + last], base[:, start + first : start + last]
    biases = weights.b_in, weights.b_out, weights.b_U
    _fold_read_of_answers(first, last, weights.W_in, biases, relative, room.linear, read, here)
    for first, last in (share.neurons, (start + share.answers[0], start + share.answers[1])):
        read, through, here = room.read[:, first:last], room.through[:, first:last], base[:, first:last]
        multiply(weights.W_O, read, through, False, False, False)
        multiply(stream, read, here, False, False, True)
        for head in range(len(room.values)):
            carried = room.carried[head][:, first:last]
            _carry(head, first, last, room.values, through, carried, here, left, right)
    meet(counter, threads)


@part
def _fold_neurons(share, W_out, W_U, turned, relative, linear, C):
    """C of a thread's neurons, and what of it joins the skip path; W_U relative to the last answer."""
    answers, (first, last) = relative.shape[1], share
    for row in range(len(relative)):
        for a in range(answers):
            relative[row, a] = W_U[row, a] - W_U[row, answers]
    multiply(W_out[first:last], relative, C[first:last, :answers], False, False, False)
    for n in range(first, last):
        for a in range(answers):
            linear[n, a] = C[n, a] * turned[n]


@part
def _fold_rows(share, W_E, W_pos, W_V, tokens, values, stream):
    """Tokens and positions of a thread's rows, their values in each head, and the stream at "="."""
    words, (first, last) = len(W_E), share
    for row in range(first, last):
        copy(tokens[row], W_E[row] if row < words else W_pos[row - words])
    for head in range(len(values)):
        multiply(tokens[first:last], W_V[head], values[head][first:last], False, False, False)
    for k in range(stream.shape[1]):
        stream[0, k] = W_E[words - 1, k] + W_pos[2, k]


@part
def _fold_query(W_Q, W_K, stream, q, key):
    """What "=" asks for in a head: the query over the root of its size, and W_K times that."""
    clear(q)
    scale = np.float32(1.0 / np.sqrt(len(q)))
    for row in range(len(stream)):
        for e in range(len(q)):
            q[e] += stream[row] * W_Q[row, e] * scale
    for row in range(len(stream)):
        key[row] = dot(W_K[row], q)


@part
def _fold_scores(head, W_E, W_pos, key, to_left, to_right):
    p = len(W_E) - 1
    last = dot(W_E[p], key) + dot(W_pos[2], key)
    at_left, at_right = dot(W_pos[0], key) - last, dot(W_pos[1], key) - last
    for token in range(p):
        score = dot(W_E[token], key)
        to_left[token, head] = score + at_left
        to_right[token, head] = score + at_right


@part
def _fold_read_of_neurons(first, last, W_in, b_in, turned, read, base):
    """What a thread's neurons read of the stream, and their biases."""
    for n in range(first, last):
        base[0, n] = b_in[0, n] * sign(turned[n])
    for row in range(len(read)):
        for n in range(first, last):
            read[row, n] = W_in[row, n] * sign(turned[n])


@part
def _fold_read_of_answers(first, last, W_in, biases, relative, linear, read, base):
    """What a thread's answers read of the stream on the skip path, turned neurons among it, and their biases."""
    b_in, b_out, b_U = biases
    for row in range(len(read)):
        copy(read[row], relative[row, first:last])
    for a in range(last - first):
        base[0, a] = b_U[0, first + a] - b_U[0, -1]
    linear = linear[:, first:last]
    multiply(W_in, linear, read, False, False, True)
    multiply(b_in, linear, base, False, False, True)
    multiply(b_out, relative[:, first:last], base, False, False, True)


@part
def _carry(head, first, last, values, through, carried, base, left, right):
    """A head's values in the columns first..last-1 of the tables."""
    rows, size = values.shape[1:]
    multiply(values[head], through[head * size : (head + 1) * size], carried, False, False, False)
    p = rows - 4
    last_row, at_left, at_right = carried[p], carried[p + 1], carried[p + 2]
    for k in range(last - first):
        last_row[k] += carried[p + 3, k]
        base[0, k] += last_row[k]
        at_left[k] -= last_row[k]
        at_right[k] -= last_row[k]
    for token in range(p):
        whole, row_left = carried[token], left[head * p + token, first:last]
        row_right = right[head * p + token, first:last]
        for k in range(last - first):
            row_left[k] = whole[k] + at_left[k]
            row_right[k] = whole[k] + at_right[k]

"""From the gradients of the tables to those of the weights, for what `modscope.training.folding` folds.

What all threads add to is kept apart for each and summed after the next meeting.
"""

from __future__ import annotations

import numpy as np

from modscope.training.compiling import compiled, part
from modscope.training.crew import meet
from modscope.training.products import multiply
from modscope.training.rows import add, add_outer, clear, dot, sign

__all__ = ["unfold"]


@compiled
def unfold(i, threads, counter, share, weights, turned, room, base, left, right, C, to_left, to_right, out):
    """The gradients of the weights, `out`, from those of the tables, each [thread, ...] and else as `fold` makes them."""
    meet(counter, threads)
    start, answers = base.shape[2] - C.shape[2], room.linear.shape[1]
    of_values, of_out, of_stream = room.of_values[i], room.of_out[i], room.of_stream[i]
    relative, of_relative, of_tokens = room.relative[i], room.of_relative[i], room.of_tokens[i]
    stream, size = room.stream[i], room.values.shape[2]
    for array in (of_values, of_out, of_stream, of_relative, of_tokens):
        for row in range(len(array)):
            clear(array[row])
    for first, last in (share.neurons, (start + share.answers[0], start + share.answers[1])):
        read, of_read, here = (
            room.read[:, first:last],
            room.of_read[:, first:last],
            room.of_base[:, first:last],
        )
        through, of_through = room.through[:, first:last], room.of_through[:, first:last]
        _sum_base(first, last, base, here[0])
        for head in range(len(room.values)):
            carried, rows = room.carried[head][:, first:last], slice(head * size, (head + 1) * size)
            _sum_tables(head, first, last, carried, here[0], left, right)
            own = of_values[head * len(carried) : (head + 1) * len(carried)]
            multiply(carried, through[rows], own, False, True, True)
            multiply(room.values[head], carried, of_through[rows], True, False, False)
        multiply(of_through, read, of_out, False, True, True)
        multiply(weights.W_O, of_through, of_read, True, False, False)
        multiply(here, read, of_stream, False, True, True)
        add_outer(of_read, stream[0], here[0])
    meet(counter, threads)
    skip, logits = room.of_read[:, start : start + answers], room.of_base[:, start : start + answers]
    first, last = share.neurons
    _unfold_in(first, last, turned, room.of_read, room.of_base, out.W_in, out.b_in)
    multiply(logits, room.linear[first:last], out.b_in[:, first:last], False, True, True)
    multiply(skip, room.linear[first:last], out.W_in[:, first:last], False, True, True)
    of_c = room.of_c[first:last]
    multiply(weights.W_in[:, first:last], skip, of_c, True, False, False)
    _unfold_C(first, weights.b_in, turned, logits[0], C, of_c)
    multiply(of_c, relative, out.W_out[first:last], False, True, False)
    if last > first:
        multiply(weights.W_out[first:last], of_c, of_relative, True, False, False)
    for head in range(share.heads[0], share.heads[1]):
        _unfold_head(
            head,
            room.tokens,
            weights.W_V[head],
            room.of_values,
            room.of_out,
            of_tokens,
            out.W_V[head],
            out.W_O,
        )
        of_scores = room.of_scores[head]
        _unfold_scores(head, to_left, to_right, room.tokens, room.key[head], of_tokens, of_scores)
        gradients = out.W_Q[head], out.W_K[head]
        _unfold_query(
            weights.W_Q[head], weights.W_K[head], stream[0], room.q[head], of_scores, of_stream[0], gradients
        )
    meet(counter, threads)
    _unfold_tokens(share.rows, room.of_tokens, room.of_stream, out.W_E, out.W_pos)
    _unfold_unembedding(
        share.stream, weights.b_out, skip, logits[0], relative, room.of_relative, out.W_U, out.b_out
    )
    if i == 0:
        _unfold_last_bias(logits[0], out.b_U[0])


@part
def _sum_base(first, last, base, here):
    clear(here)
    for thread in range(len(base)):
        add(here, base[thread, 0, first:last])


@part
def _sum_tables(head, first, last, carried, base, left, right):
    """Of a head and the columns first..last-1: the gradient of what is carried, summed over threads."""
    p = len(carried) - 4
    at_left, at_right = carried[p + 1], carried[p + 2]
    clear(at_left)
    clear(at_right)
    for token in range(p):
        whole = carried[token]
        clear(whole)
        for thread in range(len(left)):
            row_left = left[thread, head * p + token, first:last]
            row_right = right[thread, head * p + token, first:last]
            for k in range(last - first):
                whole[k] += row_left[k] + row_right[k]
                at_left[k] += row_left[k]
                at_right[k] += row_right[k]
    for k in range(last - first):
        carried[p, k] = base[k] - at_left[k] - at_right[k]
        carried[p + 3, k] = carried[p, k]


@part
def _unfold_in(first, last, turned, of_read, of_base, of_W_in, of_b_in):
    """The gradients of W_in and b_in at a thread's neurons, without what the skip path says."""
    for row in range(len(of_read)):
        for n in range(first, last):
            of_W_in[row, n] = of_read[row, n] * sign(turned[n])
    for n in range(first, last):
        of_b_in[0, n] = of_base[0, n] * sign(turned[n])


@part
def _unfold_C(first, b_in, turned, logits, C, of_c):
    """The gradient of C: what the skip path says of the turned neurons, and what the threads found."""
    for n in range(len(of_c)):
        row, own = of_c[n], b_in[0, first + n]
        for a in range(len(row)):
            row[a] = (row[a] + own * logits[a]) * turned[first + n]
        for thread in range(len(C)):
            add(row, C[thread, first + n])


@part
def _unfold_head(head, tokens, W_V, of_values, of_out, of_tokens, of_W_V, of_W_O):
    """The gradients of a head's W_V and W_O, and what it says of the tokens."""
    rows, size = len(tokens), W_V.shape[1]
    own = of_values[0][head * rows : (head + 1) * rows]
    for thread in range(1, len(of_values)):
        for row in range(rows):
            add(own[row], of_values[thread, head * rows + row])
    multiply(tokens, own, of_W_V, True, False, False)
    multiply(own, W_V, of_tokens, False, True, True)
    for row in range(head * size, (head + 1) * size):
        clear(of_W_O[row])
        for thread in range(len(of_out)):
            add(of_W_O[row], of_out[thread, row])


@part
def _unfold_scores(head, to_left, to_right, tokens, key, of_tokens, of_scores):
    """What a head's scores say of the tokens and of its key; of_scores: of the scores [row], of the key, room."""
    rows, d = tokens.shape
    p, of_key = rows - 4, of_scores[rows:]
    clear(of_scores)
    for token in range(p):
        for thread in range(len(to_left)):
            left, right = to_left[thread, token, head], to_right[thread, token, head]
            of_scores[token] += left + right
            of_scores[p + 1] += left
            of_scores[p + 2] += right
    of_scores[p] = -(of_scores[p + 1] + of_scores[p + 2])
    of_scores[p + 3] = of_scores[p]
    for row in range(rows):
        for k in range(d):
            of_tokens[row, k] += of_scores[row] * key[k]
            of_key[k] += of_scores[row] * tokens[row, k]


@part
def _unfold_query(W_Q, W_K, stream, q, of_scores, of_stream, gradients):
    """The gradients of a head's W_Q and W_K, and what they say of the stream at "="."""
    (d, size), (of_W_Q, of_W_K) = W_Q.shape, gradients
    of_q = of_scores[len(of_scores) - size :]
    of_key = of_scores[len(of_scores) - size - d :]
    scale = np.float32(1.0 / np.sqrt(size))
    for row in range(d):
        for e in range(size):
            of_W_K[row, e] = of_key[row] * q[e]
            of_q[e] += of_key[row] * W_K[row, e] * scale
    for row in range(d):
        for e in range(size):
            of_W_Q[row, e] = stream[row] * of_q[e]
        of_stream[row] += dot(W_Q[row], of_q)


@part
def _unfold_tokens(share, of_tokens, of_stream, of_W_E, of_W_pos):
    """The gradients of the embeddings at a thread's rows."""
    words, (first, last) = len(of_W_E), share
    for row in range(first, last):
        whole = of_W_E[row] if row < words else of_W_pos[row - words]
        clear(whole)
        for thread in range(len(of_tokens)):
            add(whole, of_tokens[thread, row])
            if row == words - 1 or row == words + 2:
                add(whole, of_stream[thread, 0])


@part
def _unfold_unembedding(share, b_out, skip, logits, relative, of_relative, of_W_U, of_b_out):
    """The gradients of W_U and of b_out at a thread's places of the stream."""
    answers, (first, last) = len(logits), share
    for row in range(first, last):
        whole, total = of_W_U[row, :answers], np.float32(0.0)
        for a in range(answers):
            whole[a] = skip[row, a] + b_out[0, row] * logits[a]
        for thread in range(len(of_relative)):
            add(whole, of_relative[thread, row])
        for a in range(answers):
            total += whole[a]
        of_W_U[row, answers] = -total
        of_b_out[0, row] = dot(relative[row], logits)


@part
def _unfold_last_bias(logits, of_b_U):
    total = np.float32(0.0)
    for a in range(len(logits)):
        of_b_U[a] = logits[a]
        total += logits[a]
    of_b_U[len(logits)] = -total

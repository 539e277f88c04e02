"""Loops over rows of numbers: parts of compiled code, where an expression of arrays takes the compiler far longer."""

from __future__ import annotations

import numpy as np

from modscope.training.compiling import part

__all__ = ["add", "add_outer", "clear", "copy", "dot", "sign"]


@part
def dot(x, y):
    total = np.float32(0.0)
    for k in range(len(x)):
        total += x[k] * y[k]
    return total


@part
def clear(row):
    for k in range(len(row)):
        row[k] = np.float32(0.0)


@part
def copy(row, other):
    for k in range(len(row)):
        row[k] = other[k]


@part
def add(row, more):
    for k in range(len(row)):
        row[k] += more[k]


@part
def add_outer(array, column, row):
    for k in range(len(column)):
        for n in range(len(row)):
            array[k, n] += column[k] * row[n]


@part
def sign(turned):
    return np.float32(1.0) - np.float32(2.0) * turned

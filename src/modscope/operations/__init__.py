"""What the answer is as a function of (a, b): expressions, tables, groups, and where it becomes a rotation."""

from __future__ import annotations

from modscope.operations.expression import Expression, parsed
from modscope.operations.geometry import Geometry, geometry_of, is_prime, primitive_root
from modscope.operations.groups import (
    element_orders,
    group_order,
    group_table,
    is_group,
    named_group,
    orders_in_words,
)
from modscope.operations.operation import NAMED, Operation
from modscope.operations.polynomial import Polynomial, polynomial_of, polynomial_text
from modscope.operations.recognition import FITS, Match, Recognition, recognise
from modscope.operations.tables import operation_from, table_from

__all__ = [
    "FITS",
    "NAMED",
    "Expression",
    "Geometry",
    "Match",
    "Operation",
    "Polynomial",
    "Recognition",
    "element_orders",
    "geometry_of",
    "group_order",
    "group_table",
    "is_group",
    "is_prime",
    "named_group",
    "operation_from",
    "orders_in_words",
    "parsed",
    "polynomial_of",
    "polynomial_text",
    "primitive_root",
    "recognise",
    "table_from",
]

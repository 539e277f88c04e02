"""Operations: what is parsed is what is meant, tables and groups, and the circle on which an answer turns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modscope.errors import InputError, UnknownName
from modscope.operations import (
    Operation,
    element_orders,
    geometry_of,
    group_order,
    group_table,
    is_group,
    named_group,
    operation_from,
)
from modscope.task import ModularTask, Split
from modscope.training.presets import recipe_from_toml
from modscope.training.recipe import Recipe

MODULI = st.sampled_from([3, 4, 5, 7, 8, 9, 12, 13])

# A random expression as text, and the same as Python over integers; None where a part has no inverse.
LEAVES = st.one_of(
    st.just(("a", lambda a, b, p: a)),
    st.just(("y", lambda a, b, p: b)),
    st.integers(0, 20).map(lambda n: (str(n), lambda a, b, p: n % p)),
)


def _binary(pair, sign):
    (left, f), (right, g) = pair

    def value(a, b, p):
        x, y = f(a, b, p), g(a, b, p)
        if x is None or y is None:
            return None
        if sign == "/":
            return None if np.gcd(y, p) != 1 else x * pow(int(y), -1, int(p)) % p
        if sign in ("max", "min"):
            return {"max": max, "min": min}[sign](x, y)
        return {"+": x + y, "-": x - y, "*": x * y}[sign] % p

    text = f"{sign}({left}, {right})" if sign in ("max", "min") else f"({left}) {sign} ({right})"
    return text, value


def _power(part, n):
    text, f = part
    return f"({text})^{n}", lambda a, b, p: None if f(a, b, p) is None else pow(int(f(a, b, p)), n, int(p))


EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(_binary, st.tuples(inner, inner), st.sampled_from(["+", "-", "*", "/", "max", "min"])),
        st.builds(_power, inner, st.integers(0, 4)),
    ),
    max_leaves=5,
)


@given(expression=EXPRESSIONS, p=MODULI)
def test_labels_are_what_the_expression_says(expression, p: int) -> None:
    text, value = expression
    operation = Operation.of(text)
    labels = operation.labels(p)
    expected = [[value(a, b, p) for b in range(p)] for a in range(p)]
    assert labels.tolist() == [[-1 if c is None else c for c in row] for row in expected]
    again = Operation.of(operation.name)
    assert again.name == operation.name
    assert (again.labels(p) == labels).all()


def test_the_usual_words_say_the_usual_operations() -> None:
    names = {"x+y": "add", "b + a": "add", "a-b": "subtract", "xy": "multiply", "x / y": "divide"}
    names |= {"max": "max", "min(y, x)": "min(b,a)", "x^2+xy+y^2": "x^2+xy+y^2", "a**2+ab+b**2": "x^2+xy+y^2"}
    names |= {"x^3 + xy^2 + y": "a^3+a*b^2+b", "(a+b)^2": "a^2+2*a*b+b^2", "3b+2a": "2*a+3*b"}
    assert {text: Operation.of(text).name for text in names} == names


def test_quotients_by_what_has_no_inverse_have_no_answer() -> None:
    task = ModularTask(12, "a/b", Split("python", 0.5, 0))
    units = [b for b in range(12) if np.gcd(b, 12) == 1]
    assert sorted(set(np.flatnonzero(task.defined.all(axis=0)).tolist())) == units
    assert task.masks()["all"].sum() == 12 * len(units)
    assert not (task.masks()["test"] & ~task.defined).any()
    for a, b in np.argwhere(task.defined):
        assert task.labels[a, b] * b % 12 == a


def test_cases_of_power_et_al() -> None:
    labels = Operation.of("x/y if y is odd else x-y").labels(7)
    assert labels[4, 3] == 4 * pow(3, -1, 7) % 7
    assert labels[4, 2] == 2
    assert Operation.of("a if a >= b else b").labels(9).tolist() == Operation.of("max").labels(9).tolist()


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("a + ", "'a +>'"),
        ("a ++ * b", "'a +>+ * b'"),
        ("2 * (a + b", "'2 * (a + b>'"),
        ("a ^ b", "'a ^ >b'"),
        ("a + b)", "'a + b>)'"),
        ("a & b", "'a >& b'"),
        ("max(a)", "'max(a>)'"),
        ("a + z", "'a + >z'"),
        ("a if b", "'a if b>'"),
        ("__import__('os')", '">__import__'),
        ("a" + "(" * 30 + "b", "brackets inside each other"),
        ("a+" * 150 + "b", "at most 200"),
    ],
)
def test_what_cannot_be_parsed_is_marked_at_its_place(text: str, marked: str) -> None:
    with pytest.raises(InputError) as error:
        Operation.of(text)
    assert marked in str(error.value)
    assert "\n" not in str(error.value)


def test_a_word_that_is_no_operation_gets_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match="did you mean 'subtract'"):
        Operation.of("subtrakt")


@given(p=MODULI, seed=st.integers(0, 99))
def test_tables_round_trip_through_tasks_and_recipes(p: int, seed: int) -> None:
    table = np.random.default_rng(seed).integers(-1, p, (p, p))
    task = ModularTask(p, table)
    assert (task.labels == table).all()
    again = ModularTask.from_dict(task.to_dict())
    assert again == task
    assert (again.labels == table).all()
    assert ModularTask(p).to_dict().keys() == {"p", "operation", "split", "label_seed"}


def test_a_table_comes_from_npy_and_csv(tmp_path: Path) -> None:
    table = Operation.of("a/b").labels(5)
    np.save(tmp_path / "t.npy", table)
    rows = [",".join("" if c < 0 else str(c) for c in row) for row in table.tolist()]
    (tmp_path / "t.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "recipe.toml").write_text('[task]\np = 5\nfraction = 0.6\noperation = "t.csv"\n')
    found = [operation_from(str(tmp_path / name)) for name in ("t.npy", "t.csv")]
    assert found[0] == found[1]
    assert found[0].only_p == 5
    recipe = recipe_from_toml(tmp_path / "recipe.toml")
    assert (recipe.modular_task.labels == table).all()
    assert Recipe.from_dict(recipe.to_dict()) == recipe


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("1,2\n0", "line 2: 1 answers where the first row has 2"),
        ("0,1,2\n1,2,0", "2 x 3 answers: expected p x p"),
        ("0,1,2\n1,2,3\n2,0,1", "has 3 at a = 1, b = 2: expected residues 0 to 2"),
        ("0,1,x\n", "line 1: expected whole numbers"),
        ("0,1,2\n1,2,.5\n2,0,1", "not all of its answers are whole numbers"),
    ],
)
def test_a_table_that_is_none_is_refused_in_one_sentence(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(InputError, match=says.replace(".", r"\.")):
        operation_from(str(tmp_path / "t.csv"))
    with pytest.raises(InputError, match="no such file"):
        operation_from(str(tmp_path / "nothing.npy"))


def test_a_damaged_table_or_one_of_another_size_is_refused() -> None:
    operation = Operation.of(Operation.of("max").labels(5))
    with pytest.raises(InputError, match="5 x 5, and p = 7"):
        ModularTask(7, operation)
    with pytest.raises(InputError, match="missing or damaged"):
        ModularTask(5, Operation(operation.name, operation.packed[:-8]))
    with pytest.raises(InputError, match="28 elements, and p = 27"):
        ModularTask(27, "D14")


@pytest.mark.parametrize(
    "name", ["C1", "C12", "D3", "D6", "Q8", "Dic3", "S3", "S4", "A4", "C2xC6", "C2xC2xC2", "C3xD4"]
)
def test_named_groups_are_groups_of_their_size(name: str) -> None:
    table = group_table(name)
    assert len(table) == group_order(name)
    assert is_group(table)
    assert (table[0] == np.arange(len(table))).all()


def test_groups_are_told_apart_by_the_orders_of_their_elements() -> None:
    rng = np.random.default_rng(0)
    for name in ("C8", "Q8", "D4", "C2xC4", "C2xC2xC2", "D6", "Dic3", "A4", "C2xC6", "D14", "C2xC14", "S4"):
        table = group_table(name)
        renamed = rng.permutation(len(table))
        other = np.argsort(renamed)[table[np.ix_(renamed, renamed)]]
        assert named_group(other) == name
        assert sorted(element_orders(other)) == sorted(element_orders(table))


@pytest.mark.parametrize(
    "text", ["a+b", "a-b", "2a+3b", "a+b+4", "5-a-b", "3a-3b", "a*b", "a/b", "b/a", "3*a*b", "a^5*b"]
)
@pytest.mark.parametrize("p", [7, 13, 11])
def test_an_answer_on_a_circle_is_a_sum_of_places(text: str, p: int) -> None:
    operation = Operation.of(text)
    found = geometry_of(operation, p)
    if found.kind != "circle":
        assert text == "a^5*b"  # 5 and p - 1 share a factor, or 5 a + b of the exponents is another sum
        return
    labels = operation.labels(p)
    places = np.arange(found.n)
    sums = (places[:, None] + found.sign * places) % found.n
    assert (labels[np.ix_(found.a, found.b)] == np.array(found.c)[sums]).all()


@given(p=st.sampled_from([5, 6, 9, 11]), seed=st.integers(0, 50))
def test_a_renamed_addition_is_found_on_its_circle(p: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b, c = (rng.permutation(p) for _ in range(3))
    labels = c[(a[:, None] + b) % p]
    found = geometry_of(Operation.of(labels), p)
    assert found.kind == "circle"
    places = np.arange(p)
    assert (labels[np.ix_(found.a, found.b)] == np.array(found.c)[(places[:, None] + places) % p]).all()


def test_what_turns_on_no_circle_is_said_to() -> None:
    kinds = {
        text: geometry_of(Operation.of(text), 14).kind
        for text in ("max", "D7", "a^2+b^2", "random", "2a+b", "a*b")
    }
    assert kinds == {
        "max": "axis", "D7": "group", "a^2+b^2": "none", "random": "none", "2a+b": "none", "a*b": "none",
    }  # fmt: skip

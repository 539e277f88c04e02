"""The public names are pinned: adding one is a decision, losing one a break."""

from __future__ import annotations

import modscope


def test_public_names_import() -> None:
    for name in modscope.__all__:
        assert getattr(modscope, name) is not None


def test_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(modscope, "no_such_name")

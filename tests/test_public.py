"""The public names are pinned: adding one is a decision, losing one a break."""

from __future__ import annotations

import subprocess
import sys

import modscope


def test_public_names_import() -> None:
    for name in modscope.__all__:
        assert getattr(modscope, name) is not None


def test_rooms_open_when_they_are_asked_for() -> None:
    """In a fresh interpreter `import modscope as ms` is all that `ms.planted.clock` needs."""
    rooms = sorted(set(dir(modscope)) - set(modscope.__all__))
    assert {"analysis", "planted", "signal"} <= set(rooms)
    asked = "; ".join(f"assert ms.{room}.__name__ == 'modscope.{room}'" for room in rooms)
    done = subprocess.run(
        [sys.executable, "-c", f"import modscope as ms; {asked}"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(modscope, "no_such_name")

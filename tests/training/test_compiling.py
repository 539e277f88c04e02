"""What numba keeps on disk is never that of other files, nor of another function."""

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_INNER = """
    from modscope.training.compiling import part

    @part
    def more(x):
        return x + {more}
"""
_OUTER = """
    from kernels.inner import more
    from modscope.training.compiling import compiled

    @compiled
    def twice(x):
        return 2 * more(x)
"""
_CALL = "from kernels.outer import twice; print(twice({x}), sum(twice.stats.cache_hits.values()))"


def _package(folder: Path, *, more: int) -> None:
    package = folder / "kernels"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    (package / "inner.py").write_text(textwrap.dedent(_INNER.format(more=more)))
    (package / "outer.py").write_text(textwrap.dedent(_OUTER))


def _called(folder: Path, x: str, **changed: str) -> tuple[float, int]:
    """What the function gives in a process of its own, and how often it was loaded and not compiled."""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environment["PYTHONPATH"] = os.pathsep.join([str(folder), environment.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", _CALL.format(x=x)]
    told = subprocess.run(
        command, env=environment | changed, check=True, capture_output=True, text=True, cwd=folder
    )
    value, loaded = told.stdout.split()
    return float(value), int(loaded)


def test_a_part_that_changed_in_another_file_is_compiled_again(tmp_path: Path) -> None:
    _package(tmp_path, more=1)
    assert _called(tmp_path, "3") == (8, 0)
    assert _called(tmp_path, "3") == (8, 1)
    _package(tmp_path, more=5)
    assert _called(tmp_path, "3") == (16, 0)
    _package(tmp_path, more=1)
    assert _called(tmp_path, "3") == (8, 1)


def test_it_is_kept_where_the_environment_says(tmp_path: Path) -> None:
    _package(tmp_path, more=1)
    kept = tmp_path / "kept"
    assert _called(tmp_path, "3", NUMBA_CACHE_DIR=str(kept)) == (8, 0)
    assert _called(tmp_path, "3", NUMBA_CACHE_DIR=str(kept)) == (8, 1)
    assert list(kept.rglob("*.nbc"))
    assert not list((tmp_path / "kernels").rglob("*.nbc"))


def test_a_package_that_cannot_be_written_keeps_it_with_the_user(tmp_path: Path) -> None:
    _package(tmp_path, more=1)
    (tmp_path / "kernels" / "__pycache__").touch()  # a file: root may write into any folder
    own = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    assert _called(tmp_path, "3", **own) == (8, 0)
    assert _called(tmp_path, "3", **own) == (8, 1)


def test_processes_that_compile_at_once_give_each_its_own(tmp_path: Path) -> None:
    _package(tmp_path, more=1)
    given = {"3": 8, "0.5": 3}
    with ThreadPoolExecutor() as together:
        assert [value for value, _ in together.map(lambda x: _called(tmp_path, x), given)] == list(
            given.values()
        )
    for x, value in given.items():
        assert _called(tmp_path, x) == (value, 1)

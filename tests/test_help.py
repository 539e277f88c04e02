"""Asking for help loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys


def test_help_imports_no_torch_numpy_or_xarray() -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from modscope.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print(*sorted({'torch', 'numpy', 'xarray', 'matplotlib', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

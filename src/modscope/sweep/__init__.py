"""Populations of networks: recipes, trained and looked at on Dask, to one table."""

from __future__ import annotations

from modscope.sweep.plan import Case, Looks, Plan, Unit
from modscope.sweep.results import Sweep
from modscope.sweep.running import Stand, look_again, run_sweep
from modscope.sweep.storage import Storage

__all__ = ["Case", "Looks", "Plan", "Stand", "Storage", "Sweep", "Unit", "look_again", "run_sweep"]

"""A sweep that is done in a blink, and what its tests ask of it."""

from __future__ import annotations

from typing import Any

from modscope.sweep import Plan

SETTINGS: dict[str, Any] = {
    "network": {"d_model": 8, "n_heads": 2, "d_mlp": 16},
    "optimiser.learning_rate_schedule": [],
    "stop": {"steps": 40, "settled": False, "begin_anew": 0},
    "keep": {"losses": 5, "test": 10, "resume": 20, "log": 0},
    "engine": "plain",
}


def tiny(*, seeds: str = "0:2", ps: tuple[int, ...] = (5, 6), look: Any = None, **settings: Any) -> Plan:
    changed = SETTINGS | {name.replace("__", "."): value for name, value in settings.items()}
    return Plan.from_dict(
        {
            "preset": "quick",
            "settings": changed,
            "axes": {"task.p": list(ps), "seed": seeds},
            "look": {"claims": False} if look is None else look,
        }
    )

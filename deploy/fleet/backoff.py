"""How long to wait before a crashed process is started again. Pure functions."""

FIRST_S = 0.5
LONGEST_S = 30.0
HEALTHY_S = 60.0
"""A process that was healthy for this long starts with a clean slate when it crashes."""


def streak_after(streak: int, healthy_for: float) -> int:
    """How many crashes in a row precede this one. `streak` counted it at the last crash."""
    return 0 if healthy_for >= HEALTHY_S else streak


def delay(streak: int) -> float:
    """Seconds to wait after a crash that `streak` others precede: 0, then 0.5, 1, 2 … 30."""
    if streak <= 0:
        return 0.0
    return float(min(LONGEST_S, FIRST_S * 2.0 ** min(streak - 1, 16)))

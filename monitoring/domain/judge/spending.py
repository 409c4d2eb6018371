"""How much chance of a false alarm each gate may use up.

A rollout is looked at every few seconds, so testing at 1 % every time would raise a false alarm sooner or
later. The whole rollout has one budget, ALPHA, split evenly over its gates (Bonferroni).

Gates on counts (errors, latency) test sequentially: their evidence may be looked at any number of times
while a window grows, so a gate's budget is split over the windows only, one per step of traffic.
The distribution gate has no such test; its budget is spent over the looks k = 1, 2, … of the rollout in
shares 1/((k+1)·ln²(k+1)), which sum to 1 after division by NORMALISER. Either way, by the union bound, the
chance that any gate at any look fails a healthy candidate is at most ALPHA.
"""

from __future__ import annotations

import math

ALPHA = 0.01
CONFIDENCE = 1 - ALPHA
# Σ 1/(j·ln² j) over j ≥ 2.
NORMALISER = 2.109742801236892


def alpha_of_window(windows: int, gates: int, alpha: float = ALPHA) -> float:
    """The level of one gate out of `gates` in each of a rollout's `windows`, all its looks included."""
    if windows < 1:
        raise ValueError(f"A rollout has at least one window; got {windows}.")
    return alpha / gates / windows


def share_of_look(look: int) -> float:
    """The share of the budget that look number `look` ≥ 1 of a rollout may spend."""
    if look < 1:
        raise ValueError(f"Looks are counted from 1; got {look}.")
    return 1 / ((look + 1) * math.log(look + 1) ** 2 * NORMALISER)


def alpha_of_look(look: int, gates: int, alpha: float = ALPHA) -> float:
    """The significance level of one gate out of `gates` at look number `look`, that look only."""
    return alpha / gates * share_of_look(look)

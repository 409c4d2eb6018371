"""How much chance of a false alarm each look of each gate may use up.

A rollout is looked at every few seconds, so testing at 1 % every time would raise a false alarm sooner or
later. The whole rollout has one budget, ALPHA, split evenly over its gates (Bonferroni) and spent over the
looks k = 1, 2, … in shares 1/((k+1)·ln²(k+1)), which sum to 1 after division by NORMALISER. By the union
bound the chance that any gate at any look fails a healthy candidate is then at most ALPHA, whatever the
windows are and however the looks depend on each other. The shares fall so slowly (a look at k = 1,000 still
has 1.0e-5 of the budget, sixteen times that of a 1/k² schedule) that real trouble is not missed late.
"""

from __future__ import annotations

import math

ALPHA = 0.01
CONFIDENCE = 1 - ALPHA
# Σ 1/(j·ln² j) over j ≥ 2.
NORMALISER = 2.109742801236892


def share_of_look(look: int) -> float:
    """The share of the budget that look number `look` ≥ 1 of a rollout may spend."""
    if look < 1:
        raise ValueError(f"Looks are counted from 1; got {look}.")
    return 1 / ((look + 1) * math.log(look + 1) ** 2 * NORMALISER)


def alpha_of_look(look: int, gates: int, alpha: float = ALPHA) -> float:
    """The significance level of one gate out of `gates` at look number `look`."""
    return alpha / gates * share_of_look(look)

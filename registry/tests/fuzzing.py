"""Arguments of wrong kinds for every call: what the tests that look for a 500 have in common.

`SLIPWAY_FUZZ=20000` looks longer than the suite does.
"""

import json
import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

NUMBERS = [
    0, 1, -1, 7, 2**31, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**40, 0.5, 1.5, -0.0, 1e308, float("nan"),
    float("inf"),
]  # fmt: skip


def looked_for(examples):
    """The settings of a test that tries so many, or as many as SLIPWAY_FUZZ says."""
    number = int(os.environ.get("SLIPWAY_FUZZ", examples))
    return settings(max_examples=number, deadline=None, suppress_health_check=list(HealthCheck))


def values(names, texts):
    """Anything that JSON can say, of these names and texts more often than of others."""
    scalars = st.one_of(
        st.sampled_from(texts), st.sampled_from(NUMBERS), st.booleans(), st.none(), st.text(max_size=12)
    )
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | documents(names, inner),
        max_leaves=8,
    )


def documents(names, held, most=4):
    """Objects with some of these names."""
    return st.dictionaries(st.sampled_from(names), held, max_size=most)


def sendable(value):
    """The value as a query string can say it: half a surrogate pair cannot be sent."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode(errors="replace").decode()

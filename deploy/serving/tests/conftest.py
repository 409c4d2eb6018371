"""What the server's process sets once, set for the tests."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _as_in_the_server():
    with np.errstate(over="ignore", invalid="ignore"):
        yield

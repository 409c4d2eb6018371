"""The child: `python -m registry.inspect REQUEST`, where REQUEST is JSON; prints one JSON document.

A request with `into` joins a model with its external data; every other one examines a file or folder.

The document is `{"ok": RESULT}` or `{"refused": {"message", "field", "hint"}}`.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from registry.errors import Invalid, TooLarge
from registry.inspect.limits import Limits


def main(argument: str) -> None:
    """Bind this process, look at the file, report."""
    request = json.loads(argument)
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # native code may print; only the report belongs on standard output
    Limits(**request.pop("limits")).apply()
    try:
        # Imported under the limits: whatever the libraries do counts.
        from registry.inspect.examine import examine
        from registry.inspect.joining import join

        answer: dict[str, Any] = {"ok": join(**request) if "into" in request else examine(**request)}
    except (Invalid, TooLarge) as error:
        answer = {"refused": {"message": error.message, "field": error.field, "hint": error.hint}}
    except MemoryError:
        answer = {"refused": {"message": "The model needs more memory than an inspection may take."}}
    report.write(json.dumps(answer))
    report.close()


if __name__ == "__main__":
    main(sys.argv[1])

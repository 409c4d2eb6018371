"""The child: `python -m registry.inspect REQUEST`, where REQUEST is JSON; prints one JSON document.

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

        answer: dict[str, Any] = {"ok": examine(**request)}
    except (Invalid, TooLarge) as error:
        answer = {"refused": {"message": error.message, "field": error.field, "hint": error.hint}}
    except MemoryError:
        answer = {"refused": {"message": "The model needs more memory than an inspection may take."}}
    report.write(json.dumps(answer))
    report.close()


if __name__ == "__main__":
    main(sys.argv[1])

"""`python -m benchmarks.registry.side REPETITIONS`: measures what it is asked for, in a filled database.

Reads a number per line, the place of a call in `SCALED`, and answers each with a line of JSON: CPU
microseconds of the call and of the bare view beside it, how many queries the call makes, and how many rows it
shows.
`benchmarks.registry.scaled` asks two of these in turns: whatever else the machine does hits both alike.
"""

from __future__ import annotations

import json
import sys

import django

from benchmarks.registry.measuring import BARE


def main(repetitions: int) -> None:
    from benchmarks.registry.requests import SCALED, client

    asking = client()
    print("ready", flush=True)
    for line in sys.stdin:
        call = SCALED[int(line)]
        body = asking.send(call)
        told = {
            "cost": sum(asking.batch(call, repetitions)),
            "bare": sum(asking.batch(BARE, 20)),
            "queries": asking.queries(call),
            "rows": rows_of(body),
        }
        print(json.dumps(told), flush=True)


def rows_of(body: bytes) -> int:
    """The items of a list, or the rows of a page's tables; 1 for a single document."""
    if not body.startswith(b"{"):
        return body.count(b"<tr")
    return len(json.loads(body).get("items", "1"))


if __name__ == "__main__":
    django.setup()
    main(int(sys.argv[1]))

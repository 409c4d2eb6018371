"""A thousand connections of good and hostile requests: no crash, no growth, hostile ones refused by name."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections import Counter
from pathlib import Path

import psutil
from contenders import BASE, PORT, slipway
from load import server
from models import Subject

CONNECTIONS = 1000
OIP = "/v2/models/m/infer"


def _post(path: str, body: bytes, extra: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _tensor(**changes: object) -> bytes:
    tensor = {"name": "X", "shape": [1, 30], "datatype": "FP32", "data": [0.5] * 30, **changes}
    return json.dumps({"inputs": [tensor]}).encode()


def hostile() -> list[tuple[bytes, int, str]]:
    """Requests that must be refused: what is sent, the status, and what the message must name."""
    row = [0.5] * 30
    plain = {
        b"{": (400, "not JSON"),
        b"\xff\x00" * 50: (400, "not JSON"),
        b"[" * 5000: (400, "not JSON"),
        b"{}": (422, "features: is missing"),
        json.dumps({"features": row[:7]}).encode(): (422, "features: has 7 values"),
        json.dumps({"features": [*row[:29], None]}).encode(): (422, "features[29]"),
        json.dumps({"features": [*row[:3], "x", *row[4:]]}).encode(): (422, "features[3]"),
        json.dumps({"features": [*row[:29], float("nan")]}).encode(): (422, "features[29]: is NaN"),
        json.dumps({"features": [*row[:29], 1e300]}).encode(): (422, "features[29]"),
        json.dumps({"features": [*row[:29], 10**400]}).encode(): (422, "features[29]"),
        json.dumps({"features": [*row[:29], float("nan")], "\ud800": 1}).encode(): (400, "surrogate pair"),
        json.dumps({"features": row, "x" * 5000: 1}).encode(): (422, "xxx"),
        json.dumps({"features": row, "colour": 1}).encode(): (422, "colour: is not a field"),
        json.dumps({"features": [row, row[:3]]}).encode(): (422, "features[1]"),
        json.dumps({"features": [row] * 1025}).encode(): (413, "rows"),
    }
    infer = {
        b"{}": (422, "inputs: is missing"),
        _tensor(name="Z"): (422, "inputs[0].name"),
        _tensor(shape=[-1, 30]): (422, "inputs[0].shape[0]"),
        _tensor(shape=[10**12, 30]): (422, "inputs[0].shape"),
        _tensor(datatype="FP64"): (422, "inputs[0].datatype"),
        _tensor(data=[0.5] * 29): (422, "inputs[0].data"),
        _tensor(parameters={"binary_data_size": 10**9}): (422, "binary_data"),
    }
    found = [(_post("/predict", body), *expected) for body, expected in plain.items()]
    found += [(_post(OIP, body), *expected) for body, expected in infer.items()]
    found.append((_post("/predict", b"no gzip", "Content-Encoding: gzip\r\n"), 400, "Content-Encoding"))
    found.append((_post("/predict", b"{}", "Content-Encoding: br\r\n"), 415, "Content-Encoding"))
    found.append((_post(OIP, b"{}", "Inference-Header-Content-Length: 99\r\n"), 400, "Inference-Header"))
    found.append((_post("/nowhere", b"{}"), 404, "/nowhere"))
    return found


async def connection(
    good: bytes, bad: list[tuple[bytes, int, str]], end: float, seed: int, seen: Counter
) -> None:
    """Ask until `end`; count answers, and what was not as it must be."""
    chance, loop = random.Random(seed), asyncio.get_running_loop()
    reader = writer = None
    while loop.time() < end:
        if writer is None:
            reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        request, status, text = (good, 200, "prediction") if chance.random() < 0.6 else chance.choice(bad)
        if chance.random() < 0.02:  # leaves in the middle of a request
            writer.write(request[: len(request) // 2])
            writer.close()
            writer, seen["left"] = None, seen["left"] + 1
            continue
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        answer = (await reader.readexactly(length)).decode()
        if int(head[9:12]) == 503:
            seen["503"] += 1
        elif (int(head[9:12]), text in answer) == (status, True):
            seen["good" if status == 200 else "hostile, refused by name"] += 1
        else:
            seen[f"WRONG: {status} {text!r} expected, got {head[9:12].decode()} {answer[:80]}"] += 1
    if writer is not None:
        writer.close()


async def crowd(good: bytes, seconds: float) -> Counter:
    end = asyncio.get_running_loop().time() + seconds
    seen: Counter = Counter()
    bad = hostile()
    await asyncio.gather(*(connection(good, bad, end, seed, seen) for seed in range(CONNECTIONS)))
    return seen


def show(subject: Subject, folder: Path, seconds: float) -> None:
    """Print what became of the requests, and the memory a third into it (buffers are full) and at the end."""
    good = _post("/predict", json.dumps({"features": subject.values}).encode())
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    with server(slipway(subject, folder), f"{BASE}/health", environ) as pid:
        process = psutil.Process(pid)
        seen = asyncio.run(crowd(good, seconds / 3))
        before = process.memory_info().rss / 2**20
        seen += asyncio.run(crowd(good, seconds * 2 / 3))
        after = process.memory_info().rss / 2**20
        assert process.is_running()
    print(f"\n{CONNECTIONS:,} connections for {seconds:.0f} s: " +
          ", ".join(f"{count:,} {what}" for what, count in sorted(seen.items())))  # fmt: skip
    print(f"  memory {before:.0f} MiB after a third of it, {after:.0f} MiB at the end", flush=True)


if __name__ == "__main__":
    sys.exit("run.py runs this")

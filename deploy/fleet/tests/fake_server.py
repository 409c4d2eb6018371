"""A model server with the flags of `deploy.serving` and no model: tests start real processes of it.

Its artifact is a JSON file that says how to behave: {"exit": 3, "says": "…"} exits at once,
{"unready": true} never becomes ready, {"deaf": true} ignores SIGTERM, {"slow_start": 0.5} sleeps first.
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FLAGS = (
    "model", "model-version", "endpoint", "artifact", "digest", "histograms", "host", "port", "threads",
    "warmup", "max-batch", "batch-delay-ms", "queue", "deadline-ms", "drain-seconds",
)  # fmt: skip


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    ready = True
    busy = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def do_GET(self) -> None:
        if self.path == "/v2/health/ready":
            self.answer(200 if self.server.ready else 503)
        elif self.path == "/crash":
            print("thrown by the model", file=sys.stderr, flush=True)
            os._exit(1)
        else:
            self.do_POST()

    def do_POST(self) -> None:
        self.server.busy += 1
        try:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            if self.path.startswith("/slow"):
                time.sleep(0.5)
            self.answer(200)
        finally:
            self.server.busy -= 1

    def answer(self, status: int) -> None:
        version = options.model_version
        body = json.dumps({"version": version, "pid": os.getpid(), "path": self.path}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *args: object) -> None:
        pass


def stop(server: Server) -> None:
    server.ready = False
    while server.busy:
        time.sleep(0.01)
    os._exit(0)


parser = argparse.ArgumentParser()
for flag in FLAGS:
    parser.add_argument(f"--{flag}")
options = parser.parse_args()
behaviour = json.loads(Path(options.artifact).read_text())
if "exit" in behaviour:
    print(behaviour.get("says", "giving up"), file=sys.stderr)
    sys.exit(behaviour["exit"])
time.sleep(behaviour.get("slow_start", 0))
server = Server((options.host, int(options.port)), Handler)
server.ready = not behaviour.get("unready")
handler = (
    (lambda *_: None)
    if behaviour.get("deaf")
    else (lambda *_: threading.Thread(target=stop, args=(server,)).start())
)
signal.signal(signal.SIGTERM, handler)
server.serve_forever()

"""The few verbs of S3 that the adapter uses, over real HTTP, kept in memory."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import boto3
from botocore.config import Config


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def objects(self):
        return self.server.objects

    @property
    def key(self):
        return urlsplit(self.path).path.lstrip("/").partition("/")[2]

    @property
    def query(self):
        return {
            name: values[0]
            for name, values in parse_qs(urlsplit(self.path).query, keep_blank_values=True).items()
        }

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_PUT(self):
        content = self.body()
        if "uploadId" in self.query:
            self.server.uploads[self.query["uploadId"]][2][int(self.query["partNumber"])] = content
        else:
            self.objects[self.key] = content
        self.answer(200, ETag='"x"')

    def do_POST(self):
        self.body()
        if "uploads" in self.query:
            name = f"u{len(self.server.uploads)}"
            self.server.uploads[name] = (self.key, datetime.now(UTC), {})
            self.answer(200, f"<R><UploadId>{name}</UploadId></R>".encode())
        else:
            key, _, parts = self.server.uploads.pop(self.query["uploadId"])
            self.objects[key] = b"".join(parts[n] for n in sorted(parts))
            self.answer(200, b"<R><ETag>x</ETag></R>")

    def do_GET(self):
        if "list-type" in self.query:
            keys = [key for key in self.objects if key.startswith(self.query.get("prefix", ""))]
            rows = "".join(f"<Contents><Key>{escape(key)}</Key></Contents>" for key in keys)
            self.answer(200, f"<R><IsTruncated>false</IsTruncated>{rows}</R>".encode())
        elif "uploads" in self.query:
            rows = "".join(
                f"<Upload><Key>{key}</Key><UploadId>{name}</UploadId><Initiated>{at:%Y-%m-%dT%H:%M:%SZ}</Initiated></Upload>"
                for name, (key, at, _) in self.server.uploads.items()
            )
            self.answer(200, f"<R><IsTruncated>false</IsTruncated>{rows}</R>".encode())
        elif self.key in self.objects:
            content, wanted = self.objects[self.key], self.headers.get("Range")
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            self.answer(206 if wanted else 200, content[start:], ETag='"x"')
        else:
            self.answer(404, b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>")

    do_HEAD = do_GET

    def do_DELETE(self):
        if "uploadId" in self.query:
            self.server.uploads.pop(self.query["uploadId"], None)
        else:
            self.objects.pop(self.key, None)
        self.answer(204)


@contextmanager
def serving():
    """(server, boto3 client); `server.objects` and `server.uploads` are what it holds."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.objects, server.uploads = {}, {}
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    config = Config(
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{server.server_port}",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
        config=config,
    )
    try:
        yield server, client
    finally:
        client.close()
        server.shutdown()
        thread.join()
        server.server_close()

"""Artifacts in a bucket of any S3 service, named `<prefix>objects/ab/abcd…` by digest."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, BinaryIO, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from registry.adapters.hashing import copy_hashing, hex_of
from registry.adapters.s3_uploads import BucketUploads
from registry.errors import NotFound, Unavailable
from registry.ports import Part, StoredArtifact

_ABSENT = {"404", "NoSuchKey", "NoSuchUpload", "NotFound"}


class S3Store:
    """Hashes, then uploads under the digest: S3 shows an object only when all of it has arrived.

    Credentials come from where boto3 looks for them (environment, profile, instance role). Uploads and
    downloads are streamed; large ones go in parts.
    """

    def __init__(self, bucket: str = "", *, prefix: str | None = None, client: Any = None) -> None:
        self.bucket = bucket or getattr(settings, "SLIPWAY_S3_BUCKET", "")
        self.prefix = getattr(settings, "SLIPWAY_S3_PREFIX", "") if prefix is None else prefix
        endpoint = getattr(settings, "SLIPWAY_S3_ENDPOINT", "")
        self._s3 = client or _client(endpoint)
        self._uploads = BucketUploads(self._s3, self.bucket, self.prefix, client or _patient(endpoint))

    def put(self, stream: BinaryIO) -> StoredArtifact:
        start = stream.tell()
        stored = copy_hashing(stream, cast(BinaryIO, _Discard()))
        if not self.exists(stored.digest):
            stream.seek(start)
            with self._trouble(stored.digest):
                self._s3.upload_fileobj(_Unclosable(stream), self.bucket, self._key(stored.digest))
        return stored

    def open(self, digest: str, start: int = 0) -> BinaryIO:
        wanted = {"Range": f"bytes={start}-"} if start else {}
        with self._trouble(digest):
            return self._read(self._key(digest), **wanted)

    def path_or_uri(self, digest: str) -> str:
        if not self.exists(digest):
            raise _missing(digest)
        return f"s3://{self.bucket}/{self._key(digest)}"

    def exists(self, digest: str) -> bool:
        try:
            with self._trouble(digest):
                self._s3.head_object(Bucket=self.bucket, Key=self._key(digest))
        except NotFound:
            return False
        return True

    def delete(self, digest: str) -> None:
        with self._trouble(digest):
            self._s3.delete_object(Bucket=self.bucket, Key=self._key(digest))

    def digests(self) -> Iterator[str]:
        with self._trouble(""):
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=f"{self.prefix}objects/"
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    yield f"sha256:{item['Key'].rpartition('/')[2]}"

    def begin(self, name: str, size: int) -> str:
        with self._trouble(""):
            return self._uploads.begin(name)

    def write_part(self, ref: str, part: Part, stream: BinaryIO) -> None:
        with self._trouble("", upload=ref):
            self._uploads.write_part(ref, part, stream)

    def part_url(self, ref: str, part: Part, seconds: int) -> str | None:
        return self._uploads.part_url(ref, part, seconds)

    def parts(self, ref: str) -> dict[int, int]:
        with self._trouble("", upload=ref):
            return self._uploads.parts(ref)

    def finish(self, ref: str) -> None:
        with self._trouble("", upload=ref):
            self._uploads.finish(ref)

    def open_upload(self, ref: str) -> BinaryIO:
        with self._trouble("", upload=ref):
            return self._read(self._uploads.key(ref))

    def keep(self, ref: str, digest: str) -> None:
        if not self.exists(digest):
            with self._trouble(digest):
                self._uploads.copy_to(ref, self._key(digest))
        self.discard(ref)

    def discard(self, ref: str) -> None:
        with self._trouble("", upload=ref):
            self._uploads.discard(ref)

    def sweep(self, older_than_seconds: float, keep: Collection[str] = ()) -> int:
        with self._trouble(""):
            return self._uploads.sweep(older_than_seconds, keep)

    def _read(self, key: str, **wanted: str) -> BinaryIO:
        body = self._s3.get_object(Bucket=self.bucket, Key=key, **wanted)["Body"]
        return cast(BinaryIO, io.BufferedReader(_Body(body), 1 << 20))

    def _key(self, digest: str) -> str:
        name = hex_of(digest)
        return f"{self.prefix}objects/{name[:2]}/{name}"

    @contextmanager
    def _trouble(self, digest: str, *, upload: str = "") -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            told = error.response.get("Error", {})
            if told.get("Code") in _ABSENT:
                raise _missing(digest) if digest else _unknown(upload) from error
            raise Unavailable(
                f"The bucket {self.bucket} answered: {told.get('Message') or error}."
            ) from error
        except BotoCoreError as error:
            hint = "Check SLIPWAY_S3_ENDPOINT, the credentials and the network."
            raise Unavailable(f"The bucket {self.bucket} cannot be reached: {error}.", hint=hint) from error


class _Discard(io.RawIOBase):
    """Where bytes go that are only hashed."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return len(data)


class _Unclosable(io.RawIOBase):
    """boto3 closes what it uploads; the stream belongs to the caller."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)

    def readable(self) -> bool:
        return True


class _Body(io.RawIOBase):
    """An S3 body as a file object."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._body.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        if not self.closed:
            self._body.close()
        super().close()


@cache
def _client(endpoint: str) -> Any:
    return boto3.client("s3", endpoint_url=endpoint or None, config=_config(attempts=4, read_timeout=60))


@cache
def _patient(endpoint: str) -> Any:
    """For putting parts together and for copies: of a large file they take minutes with services that answer
    only at the end, and asked twice at once some of them spoil the object."""
    return boto3.client("s3", endpoint_url=endpoint or None, config=_config(attempts=1, read_timeout=900))


def _config(*, attempts: int, read_timeout: int) -> Config:
    # Checksums only where S3 requires them: many compatible services know no trailers; the digest decides.
    return Config(
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=5,
        read_timeout=read_timeout,
    )


def _unknown(upload: str) -> NotFound:
    name = ascii(upload.partition("/")[0][:40])
    return NotFound(f"There is no upload {name}.", hint="Begin a new one.")


def _missing(digest: str) -> NotFound:
    return NotFound(f"No artifact {digest} is stored.")

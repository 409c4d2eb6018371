"""Where the bytes of an artifact come from: HTTP(S) or any S3 service, from any offset on."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, Protocol
from urllib.parse import urlsplit

from .errors import LoadError

CHUNK = 1024 * 1024
TIMEOUT_SECONDS = 30

Piece = tuple[int, bytes]
"""Where a chunk belongs in the artifact, and the chunk."""


class SourceUnavailable(Exception):
    """The source did not answer as it should; trying again may help."""


class Source(Protocol):
    """Reads one artifact."""

    def read(self, offset: int) -> Iterator[Piece]:
        """Chunks from `offset` (bytes) on, or from 0 if the source cannot start in the middle.

        Raises:
            SourceUnavailable: try again; LoadError: it will never be there.
        """


def is_remote(location: str) -> bool:
    """Whether `location` is a URL to fetch, not a path."""
    return urlsplit(location).scheme in ("http", "https", "s3")


def open_source(location: str) -> Source:
    """The source of an http, https or s3 URL. Raises LoadError for an S3 URL without a key."""
    parts = urlsplit(location)
    if parts.scheme != "s3":
        return HttpSource(location)
    key = parts.path.lstrip("/")
    if not parts.netloc or not key:
        raise LoadError(f"{location!r} must be s3://bucket/key")
    import boto3  # a second to import, and only those who use S3 need it

    return S3Source(boto3.client("s3"), parts.netloc, key)


class HttpSource:
    """An artifact behind a URL; servers without ranges are read from the start."""

    def __init__(self, url: str) -> None:
        self._url = url

    def read(self, offset: int) -> Iterator[Piece]:
        request = urllib.request.Request(self._url, headers={"User-Agent": "slipway-serving"})
        if offset:
            request.add_header("Range", f"bytes={offset}-")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
                at = offset if response.status == http.HTTPStatus.PARTIAL_CONTENT else 0
                # A body that ends before its length raises IncompleteRead only from read() without a size.
                expected = response.length
                start = at
                while chunk := response.read(CHUNK):
                    yield at, chunk
                    at += len(chunk)
                if expected is not None and at - start != expected:
                    raise SourceUnavailable(f"the connection ended after {at - start} of {expected} bytes")
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # everything is there already; the digest decides
            if error.code < 500 and error.code not in (408, 429):
                raise LoadError(f"{self._url} answers {error.code} {error.reason}") from error
            raise SourceUnavailable(f"{self._url} answers {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            raise SourceUnavailable(f"{self._url}: {error}") from error


class S3Source:
    """An object of any S3 service; credentials and endpoint come from boto3's own configuration."""

    def __init__(self, client: Any, bucket: str, key: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key

    def read(self, offset: int) -> Iterator[Piece]:
        from botocore.exceptions import BotoCoreError, ClientError

        arguments = {"Bucket": self._bucket, "Key": self._key}
        if offset:
            arguments["Range"] = f"bytes={offset}-"
        at = offset
        try:
            body = self._client.get_object(**arguments)["Body"]
            while chunk := body.read(CHUNK):
                yield at, chunk
                at += len(chunk)
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
            if status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return
            if status < 500 and status not in (408, 429):
                raise LoadError(f"s3://{self._bucket}/{self._key}: {error}") from error
            raise SourceUnavailable(str(error)) from error
        except (BotoCoreError, OSError) as error:
            raise SourceUnavailable(f"s3://{self._bucket}/{self._key}: {error}") from error

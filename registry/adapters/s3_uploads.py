"""Uploads in parts into a bucket: S3's own multipart uploads, at `<prefix>incoming/<name>` until verified."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, cast

from boto3.s3.transfer import TransferConfig

from registry.adapters.hashing import CHUNK
from registry.errors import Conflict, Invalid, NotFound
from registry.ports import Part

# Server-side copies go in ranges as large as this; S3 refuses more than 5 GiB in one.
_COPY = TransferConfig(multipart_threshold=1 << 30, multipart_chunksize=1 << 30, max_concurrency=4)


class BucketUploads:
    """References are `<name>/<S3's upload id>`; `patient` is a client for what takes minutes."""

    def __init__(self, s3: Any, bucket: str, prefix: str, patient: Any = None) -> None:
        self._s3, self._patient = s3, patient or s3
        self._bucket, self._prefix = bucket, f"{prefix}incoming/"

    def begin(self, name: str) -> str:
        """Open a multipart upload."""
        made = self._s3.create_multipart_upload(Bucket=self._bucket, Key=f"{self._prefix}{name}")
        return f"{name}/{made['UploadId']}"

    def write_part(self, ref: str, part: Part, stream: BinaryIO) -> None:
        """By way of a temporary file: signing reads the part before it is sent."""
        with tempfile.TemporaryFile() as draft:
            left = part.size
            while left:
                chunk = stream.read(min(CHUNK, left))
                if not chunk:
                    told = f"Part {part.number} ends {left} bytes early."
                    raise Invalid(told, field="part", hint="Send it again.")
                draft.write(chunk)
                left -= len(chunk)
            draft.seek(0)
            self._s3.upload_part(
                **self._named(ref), PartNumber=part.number, Body=draft, ContentLength=part.size
            )

    def part_url(self, ref: str, part: Part, seconds: int) -> str:
        """A URL that takes exactly this part."""
        parameters = {**self._named(ref), "PartNumber": part.number, "ContentLength": part.size}
        return cast(str, self._s3.generate_presigned_url("upload_part", parameters, ExpiresIn=seconds))

    def parts(self, ref: str) -> dict[int, int]:
        """What S3 lists."""
        pages = self._s3.get_paginator("list_parts").paginate(**self._named(ref))
        return {part["PartNumber"]: part["Size"] for page in pages for part in page.get("Parts", ())}

    def finish(self, ref: str) -> None:
        """Put the listed parts together."""
        if self._staged(ref):
            return
        pages = self._s3.get_paginator("list_parts").paginate(**self._named(ref))
        parts = [
            {"PartNumber": part["PartNumber"], "ETag": part["ETag"]}
            for page in pages
            for part in page.get("Parts", ())
        ]
        if not parts:
            raise Conflict("Nothing of this upload has arrived.")
        self._patient.complete_multipart_upload(**self._named(ref), MultipartUpload={"Parts": parts})

    def key(self, ref: str) -> str:
        """Where the finished upload lies."""
        return f"{self._prefix}{ref.partition('/')[0]}"

    def copy_to(self, ref: str, key: str) -> None:
        """Inside S3, whatever its size."""
        source = {"Bucket": self._bucket, "Key": self.key(ref)}
        self._patient.copy(source, self._bucket, key, Config=_COPY)

    def discard(self, ref: str) -> None:
        """Abort it, and remove it in case it was finished."""
        with suppress(self._s3.exceptions.NoSuchUpload, NotFound):
            self._s3.abort_multipart_upload(**self._named(ref))
        self._s3.delete_object(Bucket=self._bucket, Key=self.key(ref))

    def sweep(self, older_than_seconds: float, keep: Collection[str]) -> int:
        """Abort multipart uploads, our own of large artifacts too, and remove finished ones nobody wants."""
        horizon, removed = datetime.now(UTC) - timedelta(seconds=older_than_seconds), 0
        root = self._prefix.removesuffix("incoming/")
        pages = self._s3.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket, Prefix=root)
        for upload in (upload for page in pages for upload in page.get("Uploads", ())):
            ref = f"{upload['Key'].rpartition('/')[2]}/{upload['UploadId']}"
            if upload["Initiated"] <= horizon and ref not in keep:
                self._s3.abort_multipart_upload(
                    Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )
                removed += 1
        wanted = {self.key(ref) for ref in keep}
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
        for item in (item for page in pages for item in page.get("Contents", ())):
            if item["LastModified"] <= horizon and item["Key"] not in wanted:
                self._s3.delete_object(Bucket=self._bucket, Key=item["Key"])
                removed += 1
        return removed

    def _staged(self, ref: str) -> bool:
        found = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=self.key(ref), MaxKeys=1)
        return bool(found.get("KeyCount"))

    def _named(self, ref: str) -> dict[str, str]:
        name, _, upload = ref.partition("/")
        if not upload:
            raise NotFound(f"There is no upload {ascii(name[:40])}.")
        return {"Bucket": self._bucket, "Key": f"{self._prefix}{name}", "UploadId": upload}

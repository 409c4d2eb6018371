"""A real S3 service, moto's, over real HTTP."""

from __future__ import annotations

from contextlib import contextmanager

import boto3
import moto.s3.models
from botocore.config import Config
from moto.server import ThreadedMotoServer

# Tests need not move the 5 MiB that S3 asks of every part but the last.
moto.s3.models.S3_UPLOAD_PART_MIN_SIZE = 1
BUCKET = "bucket"


def client_of(url):
    config = Config(
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"total_max_attempts": 4},
        connect_timeout=2,
    )
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
        config=config,
    )


@contextmanager
def serving():
    """(address, client of a fresh bucket)."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    client = client_of(url)
    client.create_bucket(Bucket=BUCKET)
    try:
        yield url, client
    finally:
        # moto keeps its buckets in the process: the next test begins without them.
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            for item in page.get("Contents", ()):
                client.delete_object(Bucket=BUCKET, Key=item["Key"])
        for upload in client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ()):
            client.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
        client.delete_bucket(Bucket=BUCKET)
        client.close()
        server.stop()

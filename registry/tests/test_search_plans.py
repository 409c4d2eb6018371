"""What few versions answer to is found by an index."""

import hashlib

import pytest
from django.db import connection

from registry import queries, services
from registry.domain.actor import SYSTEM
from registry.filtering import version_filter
from registry.models import Version

pytestmark = pytest.mark.django_db
ROWS = 3000


def _commit(number):
    return hashlib.sha1(b"%d" % number, usedforsecurity=False).hexdigest()


@pytest.fixture
def many(store):
    """Versions that differ in label and commit alone."""
    if connection.vendor != "postgresql":
        pytest.skip(
            "plans and partial indexes are PostgreSQL's; tests/servers/test_on_postgresql.py runs this"
        )
    model = services.create_model(name="churn", actor=SYSTEM)
    Version.objects.bulk_create(
        Version(
            model=model, number=number, digest=f"sha256:{number:064x}", size=1000, format="onnx",
            filename="model.onnx", framework="scikit-learn 1.7", created_by="ci", label=f"{number}.0.0",
            git_sha=_commit(number),
        )
        for number in range(1, ROWS + 1)
    )  # fmt: skip
    with connection.cursor() as cursor:
        # As vacuum does from time to time: until then new words wait in a list.
        cursor.execute("SELECT gin_clean_pending_list('version_words')")
        cursor.execute("ANALYZE registry_version")
        # So few rows are read as fast without an index.
        cursor.execute("SET LOCAL enable_seqscan = off")


# What all versions have is read from the newest on until the page is full.
INDEXES = {
    'label = "77.0.0"': "version_of_label",
    'label in ("77.0.0", "78.0.0")': "version_of_label",
    'format = "gguf"': "version_of_format",
    'framework = "torch"': "version_of_framework",
    'framework = "scikit-learn 1.7"': "version_of_framework|registry_version_pkey",
    'created_by = "ada"': "version_of_creator",
    'filename = "model.gguf"': "version_of_filename",
    'dataset = "s3://data/march"': "version_of_dataset_ref",
    'feature_schema_version = "v7"': "version_of_features",
    "notes exists": "version_noted",
    "size > 5000": "version_size",
    "number = 77": "version_number",
    'label ~ "2977"': "version_words",
    f'git_sha ~ "{_commit(77)[:6]}"': "version_words",
    'notes ~ "zebra"': "version_words",
    'framework ~ "torch"': "version_words",
    'framework ~ "learn"': "registry_version_pkey",
}


def test_a_search_reads_an_index(many):
    for text, index in INDEXES.items():
        plan = queries.search(version_filter(text), queries.EVERYTHING).values("pk")[:51].explain()
        assert any(name in plan for name in index.split("|")), f"{text}\n{plan}"

"""Words in the texts of versions, which need PostgreSQL.

One index of several columns, so that whichever a filter asks for is found in it. Left out is what is random and
long (runs, digests): it would cost each new version more than all of these together, and is asked for as a whole.
"""

from django.db import migrations

_COLUMNS = (
    "label",
    "format",
    "framework",
    "git_sha",
    "filename",
    "dataset_ref",
    "feature_schema_version",
    "created_by",
    "notes",
)


def create(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'")
        if cursor.fetchone() is None:
            return  # See 0010_word_indexes: searches for words then read every version.
    # As `icontains` asks: UPPER(column::text) LIKE …
    words = ", ".join(f"upper({column}::text) gin_trgm_ops" for column in _COLUMNS)
    schema_editor.execute(f"CREATE INDEX IF NOT EXISTS version_words ON registry_version USING gin ({words})")
    # How frequent words are, for the choice between this index and the walk from the newest version.
    schema_editor.execute("ANALYZE registry_version")


def remove(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS version_words")


class Migration(migrations.Migration):
    dependencies = [("registry", "0022_search_by_fields")]

    operations = [migrations.RunPython(create, remove)]

"""Indexes that keep searches from reading every row; those of words need PostgreSQL."""

from django.db import DatabaseError, migrations, transaction

# As `icontains` asks: UPPER(column::text) LIKE …
_WORDS = tuple(
    (f"model_{column}_words", f"registry_model USING gin (upper({column}::text) gin_trgm_ops)")
    for column in ("name", "owner_team", "description")
)


def create(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    try:
        with transaction.atomic(using=schema_editor.connection.alias):
            schema_editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except DatabaseError:
        return  # Not ours to install: searches for words then read every model.
    for name, on in _WORDS:
        schema_editor.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {on}")


def remove(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for name, _ in _WORDS:
            schema_editor.execute(f"DROP INDEX IF EXISTS {name}")


class Migration(migrations.Migration):
    dependencies = [("registry", "0009_search_indexes")]

    operations = [migrations.RunPython(create, remove)]

"""Tags as an array of pairs, indexed on PostgreSQL: of arrays it keeps how common each element is.

Of a `jsonb` column it does not, so it would take every tag for a rare one, gather all versions that have it
and sort them, where the newest fifty that have it are soon found by walking back from the newest of all.
"""

from django.db import migrations

# `4:tierpro`: the length of the key, the key, the value; no two pairs look alike.
_FUNCTION = """
    CREATE OR REPLACE FUNCTION slipway_pairs(tags jsonb) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
        SELECT coalesce(array_agg(length(key) || ':' || key || value), '{}') FROM jsonb_each_text($1)
    $$
"""
_TABLES = ("model", "version")


def create(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    schema_editor.execute(_FUNCTION)
    for table in _TABLES:
        schema_editor.execute(
            f"CREATE INDEX IF NOT EXISTS {table}_tag_pairs ON registry_{table} USING gin (slipway_pairs(tags))"
        )
        schema_editor.execute(f"ANALYZE registry_{table}")


def remove(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    for table in _TABLES:
        schema_editor.execute(f"DROP INDEX IF EXISTS {table}_tag_pairs")
    schema_editor.execute("DROP FUNCTION IF EXISTS slipway_pairs(jsonb)")


class Migration(migrations.Migration):
    dependencies = [("registry", "0014_turns")]

    operations = [migrations.RunPython(create, remove)]

"""The function behind the index of tags in PL/pgSQL, which keeps its plan.

Written in SQL it is planned anew for every row that is inserted or changed, which cost more than the rest of the
insertion together.
"""

from django.db import migrations

_FUNCTION = """
    CREATE OR REPLACE FUNCTION slipway_pairs(tags jsonb) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
        BEGIN
            IF tags = '{}' THEN
                RETURN '{}';
            END IF;
            RETURN (
                SELECT coalesce(array_agg(length(key) || ':' || key || value), '{}') FROM jsonb_each_text(tags)
            );
        END
    $$
"""


def replace(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(_FUNCTION)


class Migration(migrations.Migration):
    dependencies = [("registry", "0017_upload_path")]

    operations = [migrations.RunPython(replace, migrations.RunPython.noop)]

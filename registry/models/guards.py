"""Triggers that make the database itself refuse to change the audit trail.

They are asserted after every migration, because SQLite drops a table's triggers when a migration rebuilds it.
On SQLite only updates are caught: a trigger on deletion would also stop Django from emptying a test database
(PostgreSQL truncates, which row triggers do not see). Deletions there show in the chain.
"""

from __future__ import annotations

from typing import Any

from django.db import connections

_TABLE = "registry_auditentry"
_MESSAGE = "audit entries are append-only"
_SQLITE = (
    f"CREATE TRIGGER IF NOT EXISTS audit_is_append_only BEFORE UPDATE ON {_TABLE} "
    f"BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END",
)
_POSTGRESQL = (
    "CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{_MESSAGE}'; END $$",
    f"CREATE OR REPLACE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON {_TABLE} "
    "FOR EACH ROW EXECUTE FUNCTION audit_is_append_only()",
)
_STATEMENTS = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}


def assert_triggers(using: str, **_: Any) -> None:
    """Create what is missing; receiver of `post_migrate`."""
    connection = connections[using]
    with connection.cursor() as cursor:
        if _TABLE not in connection.introspection.table_names(cursor):
            return
        for statement in _STATEMENTS.get(connection.vendor, ()):
            cursor.execute(statement)

"""`python -m benchmarks.registry.population SIZE`: a new database with so many versions, written by SQL.

Ten to a model, and one model that has a tenth of all.
"""

from __future__ import annotations

import sys
from typing import Any

import django
from django.db import connection

POINTS = 10_000
BIG = "big"
ADMINISTRATOR = "bench"
_MODELS = """
    INSERT INTO registry_model ({columns})
    SELECT {values}
    FROM generate_series(0, %s) n CROSS JOIN (SELECT * FROM registry_model ORDER BY id LIMIT 1) t
"""
# What is said of model n, and of version n below; every other column is the first row's.
_OF_MODEL = {
    "name": "'model-' || lpad(n::text, 7, '0')",
    "owner_team": "'team-' || n % 20",
    "description": "'Predicts thing ' || n || ' of ' || substr(md5(n::text), 1, 8)",
    "tags": "jsonb_build_object('tier', (n % 5)::text)",
}
_VERSIONS = """
    INSERT INTO registry_version (
        {columns}
    )
    SELECT {values}
    FROM generate_series(0, %s) n
    JOIN registry_model m
      ON m.name = CASE WHEN n %% 10 = 0 THEN 'big' ELSE 'model-' || lpad((n / 10)::text, 7, '0') END
    CROSS JOIN (SELECT * FROM registry_version ORDER BY id LIMIT 1) t
"""
_OF_VERSION = {
    "model_id": "m.id",
    "number": "n + 100",
    "label": "'1.' || n || '.0'",
    "digest": "'sha256:' || lpad(to_hex(n), 64, '0')",
    "tags": "jsonb_build_object('stage', CASE WHEN n % 3 = 0 THEN 'prod' ELSE 'dev' END, 'build', n::text)",
    "hyperparameters": "jsonb_build_object('depth', n % 12, 'lr', 0.1)",
    "git_sha": "substr(md5(n::text), 1, 12)",
    "training_run": "'run-' || n",
    "dataset_digest": "'d' || n / 100",
    "created_at": "now() - interval '400 days' + n * interval '1 minute'",
}
_METRICS = """
    INSERT INTO registry_latestmetric (version_id, name, value, step)
    SELECT v.id, metric.name, (('x' || md5(v.id || metric.name))::bit(32)::bigint %% 1000) / 1000.0, 0
    FROM registry_version v, (VALUES ('auc'), ('f1'), ('loss')) metric(name)
    WHERE v.id > %s
"""
_AUDIT = """
    INSERT INTO registry_auditentry (
        sequence, at, actor_kind, actor_id, actor_name, via, address, action, target, before, after, reason,
        previous, digest
    )
    SELECT n, now(), 'user', 1, 'user-' || n %% 50, '', '', 'version.register',
           'models/model-' || n / 10 || '/versions/' || n, NULL, '{{}}', 'bench', md5(n::text), md5('x' || n)
    FROM generate_series((SELECT coalesce(max(sequence), 0) + 1 FROM registry_auditentry), %s) n
"""


_PROFILE = {
    "schema": 1, "rows": 1000,
    "inputs": [{"name": f"f{n}", "tensor": "X", "column": n, "kind": "numeric",
                "edges": [float(e) for e in range(9)], "counts": [100] * 10,
                "min": -1.0, "max": 9.0, "missing": 0} for n in range(20)],
    "outputs": [],
}  # fmt: skip
_DETAILS: dict[str, Any] = {
    "size": 1_000_000, "filename": "model.onnx", "format": "onnx", "framework": "scikit-learn 1.7",
    "feature_names": [f"f{n}" for n in range(20)], "profile": _PROFILE,
    "signature": {"inputs": [{"name": "X", "dtype": "float32", "shape": [None, 20]}],
                  "outputs": [{"name": "y", "dtype": "float32", "shape": [None, 1]}]},
    "inspection": {"opsets": {"ai.onnx": 17}, "operators": {"Gemm": 3, "Relu": 2}, "parameters": 12345},
    "hyperparameters": {"depth": 7, "lr": 0.1}, "tags": {"stage": "dev"}, "git_sha": "abcdef123456",
}  # fmt: skip


def main(size: int) -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    begin()
    grow(size)


def begin() -> None:
    """An administrator, and the model `big` with two versions that have everything there is."""
    from django.contrib.auth.models import User

    from registry import services
    from registry.domain.actor import SYSTEM
    from registry.domain.roles import Role
    from registry.identity import grant
    from registry.models import Version

    grant(User.objects.create(username=ADMINISTRATOR), Role.ADMIN)
    model = services.create_model(name=BIG, owner_team="growth", actor=SYSTEM)
    rows = [
        Version.objects.create(model=model, number=number, **_DETAILS, digest=f"sha256:{number:064x}")
        for number in (10, 20)
    ]
    services.set_alias(model=model, name="champion", version=rows[0], actor=SYSTEM)
    history(rows[0].pk)


def grow(size: int) -> None:
    """So many versions with their models, metrics and audit entries, and fresh statistics."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(id) FROM registry_version")
        last = cursor.fetchone()[0]
        cursor.execute(_filled(cursor, _MODELS, "registry_model", _OF_MODEL), [size // 10])
        cursor.execute(_filled(cursor, _VERSIONS, "registry_version", _OF_VERSION), [size - 1])
        cursor.execute(_METRICS, [last])
        cursor.execute("ALTER TABLE registry_auditentry DISABLE TRIGGER ALL")
        cursor.execute(_AUDIT.replace("{{}}", "{}"), [size])
        cursor.execute(
            "UPDATE registry_audithead SET sequence = (SELECT max(sequence) FROM registry_auditentry)"
        )
        cursor.execute("UPDATE registry_model SET last_number = %s WHERE name = 'big'", [size + 100])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def history(version: int) -> None:
    """A metric of POINTS points."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO registry_metric (version_id, name, value, step, at) "
            "SELECT %s, 'curve', 1.0 / (n + 1), n, now() FROM generate_series(1, %s) n",
            [version, POINTS],
        )


def _filled(cursor: Any, statement: str, table: str, said: dict[str, str]) -> str:
    """The statement with every column of the table but its key."""
    cursor.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND column_name <> 'id'",
        [table],
    )
    columns = [row[0] for row in cursor.fetchall()]
    values = [said.get(column, f"t.{column}").replace("%", "%%") for column in columns]
    return statement.format(columns=", ".join(columns), values=", ".join(values))


if __name__ == "__main__":
    django.setup()
    main(int(sys.argv[1]))

"""`python -m benchmarks.mlflow.prepare MODELS VERSIONS LARGE`: migrate, fill, print a token."""

from __future__ import annotations

import sys

import django


def main(models: int, versions: int, large: int) -> None:
    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from registry import tokens
    from registry.domain.actor import SYSTEM
    from registry.domain.roles import Role
    from registry.identity import grant

    call_command("migrate", verbosity=0)
    user = User.objects.create(username="bench", password="!")
    grant(user, Role.ADMIN)
    fill(models, versions, large)
    print(tokens.create_token(user=user, name="bench", actor=SYSTEM)[1])


def fill(models: int, versions: int, large: int) -> None:
    """What `content.mlflow` makes for MLflow."""
    from registry.models import Alias, Model, Version

    tags = {f"key{k}": "value" for k in (1, 2, 3)}
    sizes = {f"model-{n}": versions for n in range(1, models + 1)} | {"large": large}
    made = Model.objects.bulk_create([Model(name=n, tags=tags, last_number=s) for n, s in sizes.items()])
    rows = [
        Version(
            model=model,
            number=number,
            size=0,
            state="recorded",
            source=f"s3://bucket/{number}",
            training_run="run",
            tags=dict.fromkeys(tags, f"value{number % 10}"),
        )
        for model in made
        for number in range(1, model.last_number + 1)
    ]
    first = Version.objects.bulk_create(rows, batch_size=1000)[-large]
    Alias.objects.create(model=first.model, name="champion", version=first)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

"""`manage.py up` on a database without anybody: who gets in, and how they learn of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from controlplane.management.commands import up
from controlplane.up import accounts
from controlplane.up.site import Site
from registry import services
from registry.domain.actor import SYSTEM
from registry.domain.roles import Role
from registry.models import AuditEntry, RoleGrant

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.django_db


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(home=tmp_path, root=ROOT, python=sys.executable, port=8000, gateway_port=20_000)


def started(site: Site) -> str:
    return "\n".join(up.prepare(site, lambda line: None).banner)


def kept(site: Site) -> dict[str, str]:
    found: dict[str, str] = json.loads((site.home / "up.json").read_text())["users"]["admin"]
    return found


def test_the_first_start_makes_an_administrator_and_tells_the_password(site: Site) -> None:
    said = started(site)
    password = kept(site)["password"]
    assert f"sign in as admin with the password {password}" in said
    assert (site.home / "up.json").stat().st_mode & 0o777 == 0o600
    client = Client()
    assert client.post("/login", {"username": "admin", "password": password}).status_code == 302
    assert client.get("/access/").status_code == 200
    assert client.get("/admin/").status_code == 200
    assert RoleGrant.objects.get().user.get_username() == "admin"


def test_the_audit_trail_knows_the_first_administrator(site: Site) -> None:
    started(site)
    entries = AuditEntry.objects.order_by("sequence").values_list("action", "target")
    assert list(entries) == [("account.create", "users/admin"), ("role.grant", "users/admin")]
    assert kept(site)["password"] not in str(list(AuditEntry.objects.values()))


def test_a_second_start_says_where_the_password_is_and_not_what_it_is(site: Site) -> None:
    started(site)
    said = started(site)
    assert str(site.home / "up.json") in said and kept(site)["password"] not in said
    assert User.objects.count() == 1


def test_after_a_demo_in_the_same_folder_the_start_says_where_its_passwords_are(site: Site) -> None:
    demo = site.home / "demo.json"
    accounts.write_access(demo, site, accounts.ensure_accounts(demo))
    assert started(site) == f"the password of admin is in {demo}"


def test_a_password_that_was_changed_is_left_alone(site: Site) -> None:
    started(site)
    services.change_password(user=User.objects.get(), password="another one 77", actor=SYSTEM)
    assert started(site) == ""
    assert User.objects.get().check_password("another one 77")


def test_nobody_is_made_where_somebody_administers(site: Site) -> None:
    services.create_person(name="ada", password="x", role=Role.ADMIN, actor=SYSTEM)
    assert started(site) == ""
    assert not (site.home / "up.json").exists()


def test_an_admin_who_administers_nothing_is_not_made_one(site: Site) -> None:
    services.create_person(name="admin", password="x", actor=SYSTEM)
    assert "createsuperuser" in started(site)
    assert not RoleGrant.objects.exists() and not (site.home / "up.json").exists()

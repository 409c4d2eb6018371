"""The demo's own part of `manage.py demo`: accounts, access file, training, services."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from controlplane.management.commands import demo
from controlplane.up import accounts
from controlplane.up.place import NotPossible
from controlplane.up.site import Site
from registry.domain.roles import Role
from registry.identity import role_of
from registry.models import ApiToken
from registry.tokens import authenticate

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(home=tmp_path, root=ROOT, python=sys.executable, port=8000, gateway_port=20_000)


@pytest.mark.django_db
def test_there_is_a_user_per_role_who_can_sign_in_and_use_the_api(site: Site) -> None:
    made = accounts.ensure_accounts(site.home / "demo.json")
    assert set(made) == {role.value for role in Role}
    for role, account in made.items():
        user = User.objects.get(username=account.user)
        assert user.check_password(account.password)
        assert role_of(user) == role
        found = authenticate(account.token)
        assert found is not None and found[0] == user


@pytest.mark.django_db
def test_a_second_start_keeps_passwords_and_tokens(site: Site) -> None:
    first = accounts.ensure_accounts(site.home / "demo.json")
    accounts.write_access(site.home / "demo.json", site, first)
    assert accounts.ensure_accounts(site.home / "demo.json") == first
    assert ApiToken.objects.count() == len(Role)


@pytest.mark.django_db
def test_a_password_that_was_changed_is_made_anew(site: Site) -> None:
    first = accounts.ensure_accounts(site.home / "demo.json")
    accounts.write_access(site.home / "demo.json", site, first)
    viewer = User.objects.get(username="viewer")
    viewer.set_password("something else")
    viewer.save()
    second = accounts.ensure_accounts(site.home / "demo.json")
    assert second["viewer"] != first["viewer"]
    assert second["admin"] == first["admin"]


@pytest.mark.django_db
def test_a_revoked_token_is_made_anew(site: Site) -> None:
    first = accounts.ensure_accounts(site.home / "demo.json")
    accounts.write_access(site.home / "demo.json", site, first)
    ApiToken.objects.filter(user__username="engineer").delete()
    second = accounts.ensure_accounts(site.home / "demo.json")
    assert second["engineer"].token != first["engineer"].token


@pytest.mark.django_db
@pytest.mark.parametrize("content", ["", "[]", '{"users": {"viewer": {"user": "viewer"}}}', '{"users": []}'])
def test_a_damaged_access_file_is_written_anew(site: Site, content: str) -> None:
    (site.home / "demo.json").write_text(content)
    assert set(accounts.ensure_accounts(site.home / "demo.json")) == {role.value for role in Role}


def test_the_access_file_is_readable_by_its_owner_only(site: Site) -> None:
    accounts.write_access(
        site.home / "demo.json", site, {"viewer": accounts.Account("viewer", "secret", "slw_x")}
    )
    path = site.home / "demo.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text()) == {
        "base_url": "http://127.0.0.1:8000",
        "gateway_url": "http://127.0.0.1:20000",
        "users": {"viewer": {"user": "viewer", "password": "secret", "token": "slw_x"}},
    }
    assert [item.name for item in site.home.iterdir()] == ["demo.json"]


def test_a_training_that_fails_is_one_line(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def failed(command: list[str], **kwargs: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "a\nsklearn is not installed: pip install x\n")

    monkeypatch.setattr(subprocess, "run", failed)
    with pytest.raises(NotPossible, match=r"could not be trained: sklearn is not installed: pip install x$"):
        demo.train(site, site.home / "models")


@pytest.mark.django_db
def test_traffic_and_releases_run_beside_slipway(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "train", lambda site, folder: "trained")
    said: list[str] = []
    extra = demo.prepare(site, said.append)
    assert [service.name for service in extra.services] == ["traffic", "director"]
    assert "http://127.0.0.1:20000" in extra.services[0].arguments
    assert said == ["trained", "4 users ready"]
    for role in ("viewer", "engineer", "release-manager", "admin"):
        assert any(line.split()[:2] == [role, "password"] for line in extra.banner)

"""The page of hooks, and hooks in the form of an environment's policy."""

from __future__ import annotations

import pytest

from registry.domain.actor import SYSTEM
from registry.domain.roles import Role
from registry.models import AuditEntry
from rollouts import hooks, services
from rollouts.models import Environment, HookCall, Webhook
from rollouts.tests.cast import FAST
from rollouts.tests.test_web_rules import POLICY

pytestmark = pytest.mark.django_db
MAY = {"release_manager", "admin"}
GATE = {
    "hook0_on": ["increase", "end"],
    "hook0_refusal": "roll_back",
    "hook0_seconds": "90",
}


@pytest.fixture
def gate(receiver, author) -> Webhook:
    hooks.add_webhook(name="gate", url=f"{receiver.url}/gate?token=s3cr3t", actor=author)
    return Webhook.objects.get()


def test_a_hook_is_added_and_its_secret_shown_once(as_user, receiver):
    client = as_user("release_manager")
    made = client.post("/hooks/", {"name": "gate", "url": f"{receiver.url}/gate?token=s3cr3t"})
    text = made.content.decode()
    secret = Webhook.objects.get().secret.open()
    assert secret in text
    assert "no-store" in made.headers["cache-control"]
    again = client.get("/hooks/").content.decode()
    assert f"127.0.0.1:{receiver.port}" in again
    assert secret not in again
    assert "s3cr3t" not in text + again


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"name": "Gate!", "url": "https://ci.example.org"}, "cannot be used as a name"),
        ({"name": "gate", "url": "ftp://ci.example.org"}, "not an http or https address"),
        ({"name": "gate", "url": ""}, "required"),
    ],
)
def test_a_wrong_hook_is_refused_beside_its_field(as_user, typed, says):
    refused = as_user("admin").post("/hooks/", typed)
    assert refused.status_code == 422
    assert says in refused.content.decode()
    assert not Webhook.objects.exists()


def test_a_ping_a_new_secret_and_the_switch(as_user, gate, receiver):
    client = as_user("release_manager")
    assert "The ping was sent to gate" in client.post("/hooks/gate/ping", follow=True).content.decode()
    assert receiver.received[0].json["type"] == "ping"
    receiver.answer = lambda _: (503, {}, b"")
    assert "It answered 503" in client.post("/hooks/gate/ping", follow=True).content.decode()
    before = gate.secret.open()
    shown = client.post("/hooks/gate/secret").content.decode()
    gate.refresh_from_db()
    assert gate.secret.open() != before
    assert gate.secret.open() in shown
    assert "gate is off" in client.post("/hooks/gate/off", follow=True).content.decode()
    assert not Webhook.objects.get().active
    client.post("/hooks/gate/on")
    actions = list(AuditEntry.objects.order_by("sequence").values_list("action", flat=True))
    assert actions[-3:] == ["hook.secret", "hook.off", "hook.on"]


def test_the_page_shows_who_asks_and_what_was_answered(as_user, gate, endpoint, versions, author):
    hook = {"name": "gate", "on": ["start"], "refusal": "hold", "seconds": 60}
    services.set_policy(
        environment=endpoint.environment, policy={"hooks": [hook]}, actor=author, reason="audit"
    )
    rollout = services.start_rollout(
        endpoint=endpoint, version=versions[1], strategy="canary", parameters=FAST, actor=author, reason="x"
    )
    now = rollout.created_at
    HookCall.objects.create(
        rollout=rollout, webhook=gate, moment="start", step=0, asked_at=now, deadline=now, allowed=False,
        reason="p99 doubled", ended_at=now,
    )  # fmt: skip
    text = as_user("viewer").get("/hooks/").content.decode()
    assert "Asked by" in text
    assert "production" in text
    assert "p99 doubled" in text.lower()
    assert f"churn-production #{rollout.pk}" in text
    assert "Add the hook" not in text
    assert f"churn-production #{rollout.pk}" not in as_user("outsider").get("/hooks/").content.decode()


def test_the_policy_form_keeps_and_changes_hooks(as_user, endpoint, gate):
    client = as_user("admin")
    assert "The hook gate" in client.get("/environments/production/policy").content.decode()
    saved = client.post("/environments/production/policy", {**POLICY, **GATE})
    assert saved.status_code == 302
    hook = {"name": "gate", "on": ["increase", "end"], "refusal": "roll_back", "seconds": 90.0}
    assert Environment.objects.get().policy["hooks"] == [hook]
    form = client.get("/environments/production/policy").content.decode()
    assert form.count("checked") >= 3, "two moments and four eyes"
    assert "The hook gate has its say" in client.get("/environments/").content.decode()
    without = client.post("/environments/production/policy", {**POLICY, **GATE, "hook0_on": []})
    assert without.status_code == 302
    assert "hooks" not in Environment.objects.get().policy


def test_a_policy_that_names_a_hook_twice_is_left_to_the_api(as_user, endpoint, gate, author):
    policy = {"hooks": [{"name": "gate", "on": [moment]} for moment in ("start", "end")]}
    services.set_policy(environment=endpoint.environment, policy=policy, actor=author, reason="two ways")
    refused = as_user("admin").get("/environments/production/policy")
    assert refused.status_code == 409


@pytest.mark.parametrize("name", [*(role.value for role in Role), "outsider"])
@pytest.mark.parametrize("url", ["", "gate/ping", "gate/secret", "gate/off", "gate/on"])
def test_only_those_who_may_release_change_hooks(as_user, gate, name, url):
    if url == "gate/on":
        hooks.switch(name="gate", active=False, actor=SYSTEM, reason="")
    status = (
        as_user(name).post(f"/hooks/{url}", {"name": "gate-2", "url": "https://ci.example.org"}).status_code
    )
    assert (status != 403) == (name in MAY)

"""A POST under an Idempotency-Key acts once."""

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from monitoring.api import urls as monitoring_urls
from registry.api import urls as registry_urls
from registry.models import IdempotentRequest, Model, Upload, Version
from registry.services import idempotency
from registry.tests import onnx_files
from rollouts.api import urls as rollouts_urls

BODY = {"name": "churn"}
KEY = {"Idempotency-Key": "build-17"}


def create(client, body=None, **headers):
    return client.post("/api/v1/models", body or BODY, format="json", headers=KEY | headers)


def test_the_same_request_sent_again_gets_the_first_answer(api):
    client = api("engineer")
    first, second = create(client), create(client)
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert second["Idempotent-Replayed"] == "true" and "Idempotent-Replayed" not in first
    assert Model.objects.count() == 1


def test_without_a_key_the_second_is_a_conflict(api):
    client = api("engineer")
    assert client.post("/api/v1/models", BODY, format="json").status_code == 201
    assert client.post("/api/v1/models", BODY, format="json").status_code == 409


def test_a_version_is_registered_once(api, model):
    client = api("engineer")

    def upload(content):
        body = {"artifact": SimpleUploadedFile("m.onnx", content), "metadata": '{"label": "1.0.0"}'}
        return client.post("/api/v1/models/churn/versions", body, format="multipart", headers=KEY)

    content = onnx_files.linear().SerializeToString()
    assert upload(content).json() == upload(content).json()
    assert Version.objects.count() == 1
    other = onnx_files.linear(weight=2.0).SerializeToString()
    assert len(other) == len(content)
    assert upload(other).status_code == 409, "another file of the same name and size is another request"


def test_a_key_used_for_another_request_is_a_conflict(api):
    client = api("engineer")
    create(client)
    answer = create(client, {"name": "other"})
    assert answer.status_code == 409 and "another request" in answer.content.decode()


def test_keys_of_different_users_do_not_meet(api):
    create(api("engineer"))
    assert create(api("admin")).status_code == 409, "refused by the model's name, not answered from the key"


def test_a_request_that_failed_may_be_mended_and_sent_under_the_same_key(api):
    client = api("engineer")
    assert create(client, {"name": "a b"}).status_code == 400
    assert create(client).status_code == 201


@pytest.mark.parametrize(("age", "status"), [(timedelta(minutes=1), 409), (timedelta(minutes=20), 201)])
def test_an_unanswered_request_blocks_its_key_until_it_counts_as_dead(api, age, status):
    client = api("engineer")
    create(client)
    Model.objects.all().delete()
    IdempotentRequest.objects.update(status=None, at=timezone.now() - age)
    assert create(client).status_code == status


def test_keys_are_forgotten_after_a_day(api):
    client = api("engineer")
    create(client)
    IdempotentRequest.objects.update(at=timezone.now() - timedelta(hours=25))
    assert create(client).status_code == 409, "acted upon again: the name is taken"


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_a_bad_key_is_named(api, key):
    answer = create(api("engineer"), **{"Idempotency-Key": key})
    assert answer.status_code == 400 and b"Idempotency-Key" in answer.content


def test_of_two_that_find_an_abandoned_request_one_goes_on(cast):
    user = cast["engineer"]
    record = idempotency.claim(user=user, key="k", fingerprint="f")
    IdempotentRequest.objects.filter(pk=record.pk).update(at=timezone.now() - timedelta(hours=1))
    stale = IdempotentRequest.objects.get(pk=record.pk)
    assert idempotency._take_over(stale) and not idempotency._take_over(stale)


def test_an_upload_is_begun_once(api, model):
    client = api("engineer")

    def begin(size):
        body = {"size": size, "filename": "m.onnx"}
        return client.post("/api/v1/models/churn/uploads", body, format="json", headers=KEY)

    assert begin(10).json() == begin(10).json()
    assert Upload.objects.count() == 1 and begin(11).status_code == 409


# Their answers hold a secret, or count by their own ids, or nothing changes by them.
_UNKEPT = {
    "tokens", "account-tokens", "hooks", "hook-secret", "hook-ping", "notice-target-test", "predictions", "labels",
    "dry-run", "rollout-preview",
}  # fmt: skip


def test_every_other_post_takes_a_key():
    posts = {
        route.name: route.callback.cls.post
        for door in (registry_urls, monitoring_urls, rollouts_urls)
        for route in door.urlpatterns
        if hasattr(route.callback.cls, "post")
    }
    assert {name for name, post in posts.items() if not hasattr(post, "__wrapped__")} == _UNKEPT

"""API keys: who is admitted, how often, and what a changed file does."""

from __future__ import annotations

import hashlib
import json
import math
import os

import pytest

from deploy.serving import api_keys
from deploy.serving.api_keys import ApiKeys, Key, read_keys
from deploy.serving.errors import LoadError, RateLimited, Unauthorized


def entry(secret, **fields):
    return {"name": secret, "sha256": hashlib.sha256(secret.encode()).hexdigest(), **fields}


def write(path, *entries):
    path.write_text(json.dumps({"keys": entries}))
    return path


def test_a_key_is_taken_from_either_header(tmp_path):
    keys = ApiKeys(write(tmp_path / "keys", entry("shop")))
    assert keys.admit({b"authorization": b"Bearer shop"}).name == "shop"
    assert keys.admit({b"authorization": b"bearer  shop"}).name == "shop"
    assert keys.admit({b"x-api-key": b"shop"}).name == "shop"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"authorization": b"Bearer "},
        {b"authorization": b"Basic shop"},
        {b"x-api-key": b"other"},
        {b"x-api-key": b""},
    ],
)
def test_no_key_or_an_unknown_one_is_refused(tmp_path, headers):
    keys = ApiKeys(write(tmp_path / "keys", entry("shop")))
    with pytest.raises(Unauthorized):
        keys.admit(headers)


def test_a_bucket_lets_a_burst_through_and_then_its_rate():
    key = Key("k", rate=2, burst=3)
    for _ in range(3):
        key.spend(100.0)
    with pytest.raises(RateLimited) as caught:
        key.spend(100.0)
    assert caught.value.retry_after == 1
    key.spend(100.5)
    with pytest.raises(RateLimited):
        key.spend(100.6)
    for _ in range(3):
        key.spend(1000.0)
    with pytest.raises(RateLimited):
        key.spend(1000.0)


def test_a_slow_key_says_when_to_come_back():
    key = Key("k", rate=0.1, burst=1)
    key.spend(5.0)
    with pytest.raises(RateLimited) as caught:
        key.spend(5.0)
    assert caught.value.retry_after == 10


def test_keys_have_their_own_buckets_and_none_without_a_rate(tmp_path):
    keys = ApiKeys(write(tmp_path / "keys", entry("slow", rate=0.001), entry("free")))
    keys.admit({b"x-api-key": b"slow"})
    with pytest.raises(RateLimited):
        keys.admit({b"x-api-key": b"slow"})
    for _ in range(100):
        keys.admit({b"x-api-key": b"free"})


def test_a_changed_file_is_read_again_and_a_broken_one_is_not(tmp_path, monkeypatch, capsys):
    clock = [100.0]
    monkeypatch.setattr(api_keys, "monotonic", lambda: clock[0])
    path = write(tmp_path / "keys", entry("old", rate=0.001))
    keys = ApiKeys(path)
    keys.admit({b"x-api-key": b"old"})

    def replace(text):
        fresh = tmp_path / "fresh"
        fresh.write_text(text)
        os.replace(fresh, path)
        clock[0] += 2

    replace(json.dumps({"keys": [entry("new"), entry("old", rate=0.001)]}))
    assert keys.admit({b"x-api-key": b"new"}).name == "new"
    with pytest.raises(RateLimited):
        keys.admit({b"x-api-key": b"old"})
    replace("{")
    assert keys.admit({b"x-api-key": b"new"}).name == "new"
    assert "the old API keys stay" in capsys.readouterr().err
    replace(json.dumps({"keys": []}))
    with pytest.raises(Unauthorized):
        keys.admit({b"x-api-key": b"new"})


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ([], "must be an object with a list of keys"),
        ({"keys": [1]}, "keys[0] needs a name"),
        ({"keys": [{"name": "a", "sha256": "AB"}]}, "keys[0].sha256 must be 64"),
        ({"keys": [entry("a", rate=0)]}, "keys[0].rate must be a number above 0"),
        ({"keys": [entry("a", rate=1, burst="x")]}, "keys[0].burst must be a number above 0"),
    ],
)
def test_a_bad_file_is_refused_with_the_path_of_the_bad_entry(tmp_path, document, complaint):
    path = tmp_path / "keys"
    path.write_text(json.dumps(document))
    with pytest.raises(LoadError) as caught:
        read_keys(path)
    assert complaint in str(caught.value)


def test_a_key_without_a_rate_is_unlimited(tmp_path):
    (key,) = read_keys(write(tmp_path / "keys", entry("free"))).values()
    assert key.rate == math.inf

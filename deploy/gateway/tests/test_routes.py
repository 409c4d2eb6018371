import json

import pytest

from deploy.files import BadFile
from deploy.gateway.routes import parse_route


def route(**changes):
    document = {
        "endpoint": "d-production",
        "model": "d",
        "split": [{"version": "3", "weight": 5}, {"version": "1", "weight": 95}],
        "mirror": [{"version": "3", "percent": 100}],
        "matches": [{"header": "X-Slipway-Version", "value": "preview", "version": "3"}],
        "sticky": {"header": "X-Slipway-Key"},
    }
    return parse_route(json.dumps(document | changes).encode(), "d-production")


def refusal(**changes):
    with pytest.raises(BadFile) as caught:
        route(**changes)
    return str(caught.value)


def test_a_route_is_read_and_reported_in_the_shape_of_its_file():
    assert route().to_dict() == {
        "split": [{"version": "3", "weight": 5}, {"version": "1", "weight": 95}],
        "mirror": [{"version": "3", "percent": 100}],
        "matches": [{"header": "x-slipway-version", "value": "preview", "version": "3"}],
        "sticky": {"header": "x-slipway-key"},
    }


def test_mirror_matches_and_sticky_are_optional():
    plain = route(mirror=[], matches=None, sticky=None)
    assert (plain.mirror, plain.matches, plain.sticky) == ((), (), None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"split": [{"version": "1", "weight": 99}]}, "split: weights sum to 99"),
        ({"split": []}, "split: weights sum to 0"),
        ({"split": {}}, "split: weights sum to 0"),
        ({"split": "all"}, "split: must be a list"),
        ({"split": [7]}, "split[0]: must be an object"),
        ({"split": [{"version": "1", "weight": 99.5}]}, "split[0].weight: must be a whole number"),
        ({"split": [{"version": "1", "weight": True}]}, "split[0].weight"),
        ({"split": [{"version": "1", "weight": 101}]}, "from 0 to 100"),
        ({"split": [{"version": 1, "weight": 100}]}, "split[0].version: must be a text"),
        ({"split": [{"version": "../1", "weight": 100}]}, "split[0].version"),
        ({"split": [{"version": "1", "weight": 50}] * 2}, "names a version twice"),
        ({"mirror": [{"version": "3", "percent": -1}]}, "mirror[0].percent"),
        ({"mirror": [{"version": "3", "percent": "all"}]}, "mirror[0].percent"),
        ({"matches": [{"header": "a b", "value": "x", "version": "3"}]}, "matches[0].header"),
        ({"matches": [{"header": "a", "value": "", "version": "3"}]}, "matches[0].value"),
        ({"sticky": "x-key"}, "sticky: must be null or an object"),
        ({"sticky": {"cookie": "a b"}}, "sticky.cookie: 'a b' is no name of a cookie"),
        ({"sticky": {"cookie": "a", "header": "b"}}, "sticky: names both"),
        ({"endpoint": "other"}, "endpoint: must equal the file's name"),
        ({"model": None}, "model: must be a text"),
    ],
)
def test_a_bad_route_is_refused_with_the_path_of_the_field(changes, words):
    assert words in refusal(**changes)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_what_is_no_json_object_is_refused(data):
    with pytest.raises(BadFile):
        parse_route(data, "d-production")


@pytest.mark.parametrize("name", ["D", "-d", "d-", "a" * 54, "a.b", ""])
def test_a_file_whose_name_is_no_endpoint_is_refused(name):
    with pytest.raises(BadFile, match="no endpoint name"):
        parse_route(json.dumps({"endpoint": name}).encode(), name)


def test_a_matching_header_overrides_weights_and_stickiness():
    chosen = {
        route().choose({"x-slipway-version": "preview", "x-slipway-key": f"user-{number}"})
        for number in range(100)
    }
    assert chosen == {"3"}


def test_a_key_always_reaches_the_same_version():
    for number in range(100):
        headers = {"x-slipway-key": f"user-{number}"}
        assert len({route().choose(headers) for _ in range(5)}) == 1


def test_no_key_reaches_the_stable_version_again_as_the_candidate_grows():
    keys = [f"user-{number}" for number in range(500)]
    seen: set[str] = set()
    for weight in (0, 5, 10, 25, 50, 100):
        split = [{"version": "3", "weight": weight}, {"version": "1", "weight": 100 - weight}]
        grown = route(split=split)
        now = {key for key in keys if grown.choose({"x-slipway-key": key}) == "3"}
        assert seen <= now
        seen = now
    assert len(seen) == 500


def test_the_version_that_answers_gets_no_copy():
    assert route().mirrors("id-1", "3") == []
    assert route().mirrors("id-1", "1") == ["3"]


def test_mirroring_draws_the_same_requests_for_every_version():
    half = route(mirror=[{"version": "3", "percent": 50}, {"version": "4", "percent": 50}])
    drawn = [half.mirrors(f"id-{number}", "1") for number in range(1_000)]
    assert all(versions in ([], ["3", "4"]) for versions in drawn)
    assert 430 < sum(map(bool, drawn)) < 570
    assert drawn == [half.mirrors(f"id-{number}", "1") for number in range(1_000)]


def test_a_fraction_of_a_percent_can_be_mirrored():
    some = route(mirror=[{"version": "3", "percent": 0.5}])
    assert 20 < sum(bool(some.mirrors(f"id-{number}", "1")) for number in range(10_000)) < 90


def test_a_cookie_chooses_the_arm_of_an_experiment():
    arm = route(
        matches=[{"cookie": "Arm", "value": "b", "version": "3"}], split=[{"version": "1", "weight": 100}]
    )
    assert arm.to_dict()["matches"] == [{"cookie": "Arm", "value": "b", "version": "3"}]
    assert arm.choose({"cookie": "theme=dark; Arm=b; lang=de"}) == "3"
    assert arm.choose({"cookie": 'Arm="b"'}) == "3"
    for others in ("Arm=a", "arm=b", "xArm=b", "Arm", "", "theme=dark"):
        assert arm.choose({"cookie": others}) == "1"
    assert arm.choose({}) == "1"


def test_users_told_apart_by_a_cookie_keep_their_version():
    half = [{"version": "3", "weight": 50}, {"version": "1", "weight": 50}]
    by_cookie = route(sticky={"cookie": "uid"}, split=half, matches=[])
    by_header = route(sticky={"header": "x-user"}, split=half, matches=[])
    met = [by_cookie.choose({"cookie": f"uid=user-{number}"}) for number in range(1000)]
    assert met == [by_header.choose({"x-user": f"user-{number}"}) for number in range(1000)]
    assert 420 <= met.count("3") <= 580

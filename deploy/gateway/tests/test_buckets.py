from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from deploy.gateway.buckets import BUCKETS, bounds, bucket_of, owner, random_bucket

KEYS = [f"user-{number}" for number in range(5_000)]
weights = (
    st.lists(st.integers(0, 100), min_size=0, max_size=4)
    .map(sorted)
    .map(lambda cuts: [b - a for a, b in zip([0, *cuts], [*cuts, 100], strict=True)])
)


def test_a_key_has_the_same_bucket_for_ever():
    assert [bucket_of("d-production", "alice"), bucket_of("d-production", "bob")] == [1746, 6172]


def test_a_key_has_its_own_bucket_at_each_endpoint():
    buckets = {bucket_of(f"endpoint-{number}", "alice") for number in range(50)}
    assert len(buckets) > 40


def test_parts_are_not_run_together():
    assert bucket_of("ab", "c") != bucket_of("a", "bc")


def test_keys_spread_evenly_over_the_buckets():
    tenths = Counter(bucket_of("d", key) * 10 // BUCKETS for key in KEYS)
    assert all(420 < tenths[tenth] < 580 for tenth in range(10))


def test_random_buckets_cover_the_range():
    drawn = [random_bucket() for _ in range(10_000)]
    assert min(drawn) >= 0 and max(drawn) < BUCKETS and len(set(drawn)) > 5_000


@given(weights)
def test_every_bucket_has_an_owner_and_each_version_owns_its_share(split):
    shares = bounds((str(index), weight) for index, weight in enumerate(split))
    owned = Counter(owner(shares, bucket) for bucket in range(0, BUCKETS, 50))
    assert {version: count / 2 for version, count in owned.items()} == {
        str(index): weight for index, weight in enumerate(split) if weight
    }


@given(st.integers(0, 100), st.integers(0, 100))
def test_a_key_that_reached_the_candidate_stays_while_its_weight_grows(one, other):
    low, high = sorted((one, other))
    before = bounds([("candidate", low), ("stable", 100 - low)])
    after = bounds([("candidate", high), ("stable", 100 - high)])
    for key in KEYS[:200]:
        bucket = bucket_of("d", key)
        if owner(before, bucket) == "candidate":
            assert owner(after, bucket) == "candidate"

from __future__ import annotations

from rollouts.domain.desired import EndpointState, ReleaseSpec, Route, desired_world
from rollouts.domain.phases import Phase
from rollouts.tests.cast import ANALYSE_5, NOON, PROMOTE, PROVISION, snapshot

V1, V2, V0 = (ReleaseSpec(version=v, digest=f"sha256:{v}", replicas=1) for v in "120")


def state(**changes) -> EndpointState:
    return EndpointState(
        **{"name": "churn-production", "model": "churn", "generation": 4, "stable": V1, **changes}
    )


def test_at_rest_the_stable_version_has_all_traffic():
    world = desired_world(state(), None)
    assert world.releases == (V1,)
    assert world.route == Route(split=(("1", 100),))


def test_the_previous_version_stays_warm_without_traffic():
    world = desired_world(state(previous=V0), None)
    assert world.releases == (V1, V0)
    assert world.route == Route(split=(("1", 100),))


def test_the_candidate_comes_first_so_that_its_users_keep_it():
    world = desired_world(state(candidate=V2), snapshot(ANALYSE_5))
    assert world.route == Route(split=(("2", 5), ("1", 95)))
    assert world.releases == (V1, V2)


def test_a_candidate_that_is_being_provisioned_runs_without_traffic():
    world = desired_world(state(candidate=V2), snapshot(PROVISION, Phase.PROVISIONING))
    assert V2 in world.releases
    assert world.route == Route(split=(("1", 100),))


def test_a_rollback_takes_the_traffic_but_leaves_the_servers_until_confirmed():
    world = desired_world(state(candidate=V2), snapshot(ANALYSE_5, Phase.ROLLING_BACK))
    assert V2 in world.releases
    assert world.route == Route(split=(("1", 100),))


def test_the_stable_servers_stay_while_promoting():
    world = desired_world(state(candidate=V2), snapshot(PROMOTE, Phase.PROMOTING))
    assert world.releases == (V1, V2)
    assert world.route == Route(split=(("2", 100),))


def test_a_candidate_that_is_the_warm_previous_release_is_named_once():
    world = desired_world(state(previous=V2, candidate=V2), snapshot(ANALYSE_5))
    assert world.releases == (V1, V2)


def test_there_is_no_route_before_somebody_can_answer():
    assert desired_world(state(stable_ready=False), None).route is None


def test_an_unready_candidate_gets_no_share():
    world = desired_world(state(candidate=V2), snapshot(ANALYSE_5, Phase.HOLDING, unready_since=NOON))
    assert world.route == Route(split=(("1", 100),))

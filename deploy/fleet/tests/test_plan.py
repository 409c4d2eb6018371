from hypothesis import given
from hypothesis import strategies as st

from deploy.fleet.instance import State
from deploy.fleet.plan import Start, Stop, plan
from deploy.fleet.tests.cast import instance, workload

OLD = workload(threads=7)


def planned(wanted, instances):
    return plan({wanted.key: wanted} if wanted else {}, instances)


def starts(actions):
    return [action.index for action in actions if isinstance(action, Start)]


def stops(actions):
    return [action.instance.index for action in actions if isinstance(action, Stop)]


def test_what_is_missing_is_started():
    assert starts(planned(workload(replicas=3), [])) == [0, 1, 2]


def test_what_is_as_wanted_is_left_alone():
    assert planned(workload(replicas=2), [instance(0), instance(1)]) == []


def test_a_crashed_instance_keeps_its_place():
    assert planned(workload(), [instance(0, State.BACKOFF)]) == []
    assert planned(workload(), [instance(0, State.FAILED)]) == []


def test_a_number_in_use_is_not_given_twice():
    assert starts(planned(workload(replicas=2), [instance(0, State.DRAINING), instance(1)])) == [2]


def test_scaling_down_stops_unready_instances_first_then_the_highest_numbers():
    instances = [instance(0), instance(1, State.STARTING), instance(2), instance(3)]
    assert stops(planned(workload(replicas=2), instances)) == [3, 1]


def test_what_is_wanted_no_more_is_stopped_whatever_its_state():
    instances = [instance(index, state) for index, state in enumerate(State)]
    draining = list(State).index(State.DRAINING)
    assert stops(planned(None, instances)) == [index for index in range(len(State)) if index != draining]
    assert stops(planned(workload(replicas=0), [instance(0)])) == [0]


def test_a_changed_workload_gets_a_new_server_before_the_old_one_goes():
    old = instance(0, of=OLD)
    first = planned(workload(), [old])
    assert (starts(first), stops(first)) == ([1], [])
    assert planned(workload(), [old, instance(1, State.STARTING)]) == []
    assert stops(planned(workload(), [old, instance(1)])) == [0]


def test_servers_are_replaced_one_by_one():
    old = [instance(index, of=OLD) for index in range(3)]
    assert starts(planned(workload(replicas=3), old)) == [3]
    step = planned(workload(replicas=3), [*old, instance(3)])
    assert (starts(step), stops(step)) == ([4], [2])


def test_a_new_server_that_never_gets_ready_leaves_the_old_ones_serving():
    old = [instance(index, of=OLD) for index in range(2)]
    assert planned(workload(replicas=2), [*old, instance(2, State.FAILED)]) == []


def test_old_servers_that_serve_nobody_go_at_once():
    step = planned(workload(), [instance(0, State.BACKOFF, of=OLD)])
    assert (starts(step), stops(step)) == ([1], [0])


def test_versions_and_endpoints_do_not_mix():
    other = workload(version="2")
    actions = plan({workload().key: workload(), other.key: other}, [instance(0)])
    assert [action.workload for action in actions] == [other]


states = st.sampled_from(list(State))
pools = st.lists(st.tuples(states, st.booleans()), max_size=6)


def build(pool):
    return [instance(index, state, of=OLD if old else workload()) for index, (state, old) in enumerate(pool)]


@given(pools, st.integers(0, 4))
def test_a_replacement_never_lowers_the_number_of_ready_servers_below_the_wanted(pool, replicas):
    instances = build(pool)
    ready = [item for item in instances if item.state is State.READY]
    stopped = stops(planned(workload(replicas=replicas), instances))
    left = [item for item in ready if item.index not in stopped]
    assert len(left) >= min(replicas, len(ready))


@given(pools, st.integers(0, 4))
def test_acting_and_every_server_getting_ready_leads_to_what_is_wanted(pool, replicas):
    wanted, instances = workload(replicas=replicas), build(pool)
    for _ in range(20):
        actions = planned(wanted, instances)
        stopped = stops(actions)
        instances = [
            item for item in instances if item.index not in stopped and item.state is not State.DRAINING
        ]
        instances += [instance(index) for index in starts(actions)]
        assert len({item.index for item in instances}) == len(instances)
        for item in instances:
            item.state = State.READY
    assert len(instances) == replicas
    assert all(item.revision == wanted.revision for item in instances)


@given(pools, st.integers(0, 4))
def test_never_more_than_one_server_runs_beyond_the_wanted_ones(pool, replicas):
    instances = build(pool)
    actions = planned(workload(replicas=replicas), instances)
    staying = [
        item for item in instances if item.state is not State.DRAINING and item.index not in stops(actions)
    ]
    assert not starts(actions) or len(staying) + len(starts(actions)) <= replicas + 1

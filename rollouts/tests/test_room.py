"""Will it fit: arithmetic on what nodes offer, what is asked for and what quotas leave."""

from __future__ import annotations

import pytest

from rollouts.domain.room import GPU, Node, Quota, room

NEED = {"cpu": 1.0, "memory": 2.0**30, GPU: 2.0, "pods": 1.0}
WIDE = {"cpu": 64.0, "memory": 256 * 2.0**30, GPU: 8.0, "pods": 110.0}


def test_each_node_holds_whole_servers_only():
    nodes = [Node("a", WIDE, {GPU: 5}), Node("b", WIDE, {GPU: 1})]
    found = room(NEED, nodes)
    assert found.servers == 1 + 3
    assert "10 of 16 GPUs are free" in found.says
    assert found.fits(4) and not found.fits(5)


def test_the_scarcest_resource_decides():
    assert room(NEED, [Node("a", {**WIDE, "memory": 2.5 * 2**30})]).servers == 2
    assert room(NEED, [Node("a", {**WIDE, "pods": 1})]).servers == 1
    assert room({"cpu": 0.1}, [Node("a", {"cpu": 0.3})]).servers == 3


def test_a_node_without_gpus_or_one_that_is_barred_holds_none():
    found = room(NEED, [Node("a", {**WIDE, GPU: 0}), Node("b", WIDE, barred="cordoned")])
    assert found.servers == 0
    assert "b: cordoned." in found.says


def test_an_overcommitted_node_holds_none_and_not_fewer():
    assert room(NEED, [Node("a", WIDE, {GPU: 9}), Node("b", WIDE)]).servers == 4


@pytest.mark.parametrize(("used", "fit"), [(0, 2), (3, 0), (2, 1)])
def test_a_quota_may_leave_less_than_the_nodes(used, fit):
    quotas = [Quota("gpus", {GPU: 4}, {GPU: used}), Quota("others", {"services": 1}, {"services": 1})]
    found = room(NEED, [Node("a", WIDE)], quotas)
    assert found.servers == fit
    assert "Quota gpus leaves" in found.says

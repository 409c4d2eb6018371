import socket

import pytest

from deploy.fleet import ports
from deploy.fleet.ports import FIRST, LAST, NoFreePort, free_port, is_free


def test_a_free_port_can_be_listened_on():
    port = free_port()
    assert FIRST <= port <= LAST
    socket.create_server(("127.0.0.1", port)).close()


def test_a_port_in_use_is_not_free():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert not is_free(taken.getsockname()[1])


def test_ports_promised_to_others_are_not_given(monkeypatch):
    monkeypatch.setattr(ports, "FIRST", 20_000)
    monkeypatch.setattr(ports, "LAST", 20_499)
    free = free_port()
    assert free_port(set(range(20_000, 20_500)) - {free}) == free


def test_when_nothing_is_free_that_is_said():
    with pytest.raises(NoFreePort, match="no free TCP port"):
        free_port(range(65_536))

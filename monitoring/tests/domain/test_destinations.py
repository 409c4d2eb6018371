import pytest

from monitoring.domain.destinations import check_networks, refusal
from monitoring.errors import BadSetting

CLOSED = [
    "127.0.0.1", "127.8.9.10", "0.0.0.0", "10.0.0.1", "172.16.3.4", "192.168.1.1", "100.64.0.1",
    "169.254.169.254", "224.0.0.1", "239.1.2.3", "255.255.255.255", "192.0.2.1", "::", "::1", "fe80::1", "fe80::1%eth0",
    "fd00:ec2::254", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    "localhost", "", "1.2.3",
]  # fmt: skip


@pytest.mark.parametrize("address", CLOSED)
def test_nothing_is_sent_to_addresses_that_are_not_public(address):
    assert refusal(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_the_public_internet_is_open(address):
    assert refusal(address) == ""


def test_a_network_that_is_allowed_is_open_and_no_other():
    assert refusal("10.1.2.3", ["10.1.2.0/24"]) == ""
    assert refusal("::ffff:10.1.2.3", ["10.1.2.0/24"]) == ""
    assert refusal("10.1.3.3", ["10.1.2.0/24"])
    assert refusal("169.254.169.254", ["10.0.0.0/8", "127.0.0.0/8"])


def test_a_network_that_is_none_is_told():
    check_networks(["10.0.0.0/8", "fd00::/8", "127.0.0.1"])
    with pytest.raises(BadSetting, match="10.0.0.0/40"):
        check_networks(["10.0.0.0/40"])

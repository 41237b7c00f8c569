"""Who a caller is, and how much it brings."""

import pytest

from penstock.serving.callers import Caller, caller, name_of_address


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_the_addresses_of_one_subscriber_are_one_caller(address: str, name: str) -> None:
    assert name_of_address(address) == name


def test_a_started_token_counts_whole() -> None:
    assert [Caller(num_bytes=n).num_tokens for n in (0, 1, 4, 5)] == [0, 1, 1, 2]


def test_without_a_request_nobody_asks() -> None:
    assert (caller().name, caller().num_tokens) == ("", 0)

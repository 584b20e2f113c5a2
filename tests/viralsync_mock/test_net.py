"""Which addresses are this machine: one answer for webhooks, the control API, CORS and targets."""

import pytest

from viralsync_mock.net import host_of, is_loopback


@pytest.mark.parametrize(
    "address",
    [
        "localhost",
        "localhost:4747",
        "LOCALHOST",
        "HTTP://LocalHost:3000",
        "127.0.0.1:80",
        "127.8.9.10",
        "[::1]:4747",
        "http://localhost:3000",
        "https://127.0.0.1",
        "http://[::1]",
    ],
)
def test_addresses_of_this_machine(address: str) -> None:
    """Any port and scheme of a loopback name or address is this machine."""
    assert is_loopback(host_of(address))


@pytest.mark.parametrize(
    "address",
    [
        "",
        "null",
        "studio.example",
        "http://localhost.studio.example",
        "http://localhost@studio.example",
        "http://127.0.0.1.studio.example:4747",
        "10.0.0.1",
        "0.0.0.0:4747",
        "[::1",
        "http://[::ffff:127.0.0.1]",
        "http://[::]",
    ],
)
def test_addresses_elsewhere_are_not(address: str) -> None:
    """What only looks like this machine is another one."""
    assert not is_loopback(host_of(address))

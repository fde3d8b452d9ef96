"""Every way to write an address is the same address to the check, which workers and webhooks share."""

import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.embedded_addresses import forms_of
from access.outbound import OTHER_PROTOCOLS, BadAddress, check, is_never_called, is_public, parse
from operations.notifications.receivers import address_of
from registry import worker_urls

PRIVATE = ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]
IPV4 = st.ip_addresses(v=4)
IPV6 = st.ip_addresses(v=6)
INSIDE = ["127.0.0.1", "10.1.2.3", "172.31.255.255", "192.168.0.1", "100.64.0.1", "169.254.169.254", "0.0.0.0",
          "198.18.0.1", "192.0.0.8", "192.88.99.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"]  # fmt: skip
"""One address of each range that is not public."""


def v6(number: int) -> ipaddress.IPv6Address:
    return ipaddress.IPv6Address(number)


def prefix(text: str) -> int:
    return int(ipaddress.IPv6Address(text))


def embeddings(ip: ipaddress.IPv4Address, filling: int = 0) -> dict[str, ipaddress.IPv6Address]:
    """Each IPv6 form of an IPv4 address; `filling` are bits that mean nothing."""
    n = int(ip)
    high, low = n >> 16, n & 0xFFFF
    return {
        "mapped": v6(prefix("::ffff:0:0") | n),
        "translated": v6(prefix("::ffff:0:0:0") | n),
        "nat64": v6(prefix("64:ff9b::") | n),
        "local nat64 /48": v6(prefix("64:ff9b:1::") | high << 64 | low << 40 | filling & 0xFF_FFFF_FFFF),
        "local nat64 /56": v6(prefix("64:ff9b:1::") | (n >> 24) << 64 | (n & 0xFF_FFFF) << 32),
        "local nat64 /64": v6(prefix("64:ff9b:1::") | n << 24),
        "local nat64 /96": v6(prefix("64:ff9b:1::") | n),
        "6to4": v6(prefix("2002::") | n << 80 | filling),
        "teredo client": v6(prefix("2001::") | int(ipaddress.IPv4Address("8.8.8.8")) << 64 | n ^ 0xFFFF_FFFF),
        "teredo server": v6(prefix("2001::") | n << 64 | (0x0808_0808 ^ 0xFFFF_FFFF)),
        "isatap": v6(prefix("2600::5efe:0:0") | n),
        "isatap, unique": v6(prefix("2600::200:5efe:0:0") | n),
    }


def urls(ip: ipaddress.IPv4Address) -> list[str]:
    """Each spelling that the resolver takes for the IPv4 address."""
    n = int(ip)
    parts = str(ip).split(".")
    spellings = [str(ip), str(n), hex(n), oct(n).replace("0o", "0"), ".".join(map(hex, map(int, parts))),
                 f"{parts[0]}.{n & 0xFFFFFF}", f"{parts[0]}.{parts[1]}.{n & 0xFFFF}"]  # fmt: skip
    return [f"http://{one}:8080" for one in spellings]


@given(IPV4, st.integers(0, 2**64 - 1))
def test_each_form_contains_the_address_that_it_embeds(ip: ipaddress.IPv4Address, filling: int) -> None:
    for name, form in embeddings(ip, filling).items():
        assert ip in forms_of(form), name


@given(IPV4 | IPV6)
def test_an_address_is_called_only_if_all_of_its_forms_are_inside(ip: Any) -> None:
    """The rule itself, without the code that takes addresses apart."""
    networks = [ipaddress.ip_network(one) for one in PRIVATE]
    host = str(ip)
    try:
        check(host, PRIVATE, "KTRDR_WORKER_NETWORKS", allow_public=False)
        is_allowed = True
    except BadAddress:
        is_allowed = False
    mapped = getattr(ip, "ipv4_mapped", None) or ip
    assert is_allowed <= any(mapped in network for network in networks)
    assert is_allowed <= (not mapped.is_multicast and not mapped.is_link_local)


@pytest.mark.parametrize("text", INSIDE)
def test_no_form_of_an_address_that_is_not_public_is_a_webhook(text: str) -> None:
    ip = ipaddress.IPv4Address(text)
    for url in urls(ip):
        with pytest.raises(BadAddress):
            address_of(url)
    for name, form in embeddings(ip).items():
        with pytest.raises(BadAddress):
            print(name, address_of(f"http://[{form}]/"))


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["8.8.8.8", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"])
def test_no_form_of_an_address_outside_the_networks_is_a_worker(text: str) -> None:
    ip = ipaddress.IPv4Address(text)
    for url in [*urls(ip), *(f"http://[{form}]:5003" for form in embeddings(ip).values())]:
        with pytest.raises(BadAddress):
            worker_urls.validate(url)


@pytest.mark.parametrize(
    "text",
    ["fec0::1", "feff::1", "fe80::1", "fe80::1%1", "ff02::1", "ff0e::1", "::", "64:ff9b:1::808:808", "2001:db8::1",
     "3fff::1", "5f00::1", "100::1", "4000::1", "fc00::1", "::1", "2001::1", "2001:2::1"],
)  # fmt: skip
def test_no_special_ipv6_address_is_a_webhook(text: str) -> None:
    with pytest.raises(BadAddress):
        address_of(f"http://[{text}]/")


@pytest.mark.parametrize(
    "text", ["169.254.169.254", "fe80::1", "224.0.0.1", "ff02::1", "0.0.0.0", "::", "fec0::1"]
)
def test_a_setting_that_allows_everything_does_not_allow_these(text: str) -> None:
    assert is_never_called(ipaddress.ip_address(text))
    with pytest.raises(BadAddress, match="never called"):
        check(text, ["0.0.0.0/0", "::/0"], "KTRDR_WORKER_NETWORKS", allow_public=True)


def test_a_translated_address_needs_both_networks() -> None:
    host = "64:ff9b::10.0.0.5"
    for networks in (["64:ff9b::/96"], ["10.0.0.0/8"]):
        with pytest.raises(BadAddress):
            check(host, networks, "KTRDR_WORKER_NETWORKS", allow_public=False)
    assert check(host, ["64:ff9b::/96", "10.0.0.0/8"], "KTRDR_WORKER_NETWORKS", allow_public=False)


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1", "2002:101:101::1"]
)
def test_public_addresses_are_webhooks(text: str) -> None:
    host = f"[{text}]" if ":" in text else text
    assert address_of(f"https://{host}/hook?x=1")


@given(IPV4 | IPV6)
def test_no_public_address_is_private_or_special(ip: Any) -> None:
    special = (ip.is_private, ip.is_loopback, ip.is_multicast, ip.is_link_local, ip.is_unspecified)
    assert not (is_public(ip) and any(special))


@pytest.mark.parametrize(
    "mark", ["\0", "\t", "\n", "\r", " ", "\x1f", "\x7f", "\x85", "\u2028", "\\", "\\@example.org"]
)
@pytest.mark.parametrize(
    "form",
    [
        "http://127.0.0.1{}:5003",
        "http://127.0.0.1:5003{}",
        "ht{}tp://127.0.0.1:5003",
        "{}http://127.0.0.1:5003",
    ],
)
def test_no_address_contains_what_is_read_differently(form: str, mark: str) -> None:
    """`urlsplit` drops a tab, a browser takes a backslash for a slash, and a C library ends at NUL."""
    for accept in (worker_urls.validate, address_of):
        with pytest.raises(BadAddress):
            accept(form.format(mark))


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:5003?", "http://127.0.0.1:5003#", "http://127.0.0.1:5003/?", "http://[::1]x:5003"],
)
def test_a_worker_is_a_scheme_a_host_and_a_port(url: str) -> None:
    with pytest.raises(BadAddress):
        worker_urls.validate(url)


@pytest.mark.parametrize("port", sorted(OTHER_PROTOCOLS))
def test_a_port_of_another_protocol_is_refused(port: int) -> None:
    for url in (f"http://10.0.0.1:{port}", f"https://example.org:{port}/hook"):
        with pytest.raises(BadAddress, match="another protocol"):
            parse(url, "The address")


def test_of_several_addresses_each_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolved(*_: object, **__: object) -> list[Any]:
        return [(2, 1, 6, "", (address, 0)) for address in ("1.1.1.1", "10.0.0.5")]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    with pytest.raises(BadAddress, match=r"resolves to 10\.0\.0\.5"):
        address_of("http://example.org/")


@given(st.text(max_size=2000))
def test_no_text_is_quoted_at_length(text: str) -> None:
    problem = ""
    try:
        parse(text, "The address")
    except BadAddress as error:
        problem = str(error)
    assert len(problem) < 300

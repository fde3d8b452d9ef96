"""IPv4 addresses inside IPv6 addresses: a translator, tunnel or the socket itself sends such a packet to the IPv4 host."""

import ipaddress
from collections.abc import Iterator

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

COMPATIBLE = ipaddress.IPv6Network("::/96")
"""RFC 4291, deprecated."""
TRANSLATED = ipaddress.IPv6Network("::ffff:0:0:0/96")
"""RFC 2765."""
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""RFC 6052, the well-known prefix."""
LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
"""RFC 8215: a translator uses any prefix of RFC 6052 inside it."""
ISATAP = (0x0000_5EFE, 0x0200_5EFE)
"""RFC 5214: the upper half of the interface identifier."""


def forms_of(ip: IPAddress) -> list[IPAddress]:
    """Return the address as the socket uses it, and each IPv4 address to which a packet for it may be sent.

    An IPv4-mapped address is that IPv4 address; the others are an address of their own as well.
    """
    if isinstance(ip, ipaddress.IPv4Address):
        return [ip]
    if ip.ipv4_mapped is not None:
        return [ip.ipv4_mapped]
    return [ip, *_embedded(ip)]


def _embedded(ip: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    number = int(ip)
    low = ipaddress.IPv4Address(number & 0xFFFF_FFFF)
    is_own_host = ip.is_unspecified or ip.is_loopback
    if (ip in COMPATIBLE and not is_own_host) or ip in TRANSLATED or ip in NAT64:
        yield low
    if ip in LOCAL_NAT64:
        yield from (_rfc6052(number, length) for length in (48, 56, 64, 96))
    if ip.sixtofour is not None:
        yield ip.sixtofour
    if ip.teredo is not None:
        yield from ip.teredo
    if (number >> 32) & 0xFFFF_FFFF in ISATAP:
        yield low


def _rfc6052(number: int, length: int) -> ipaddress.IPv4Address:
    """Return the IPv4 address after a prefix of so many bits; bits 64 to 71 are skipped (RFC 6052, 2.2)."""
    bits = f"{number:0128b}"
    rest = bits[length:] if length > 64 else bits[length:64] + bits[72:]
    return ipaddress.IPv4Address(int(rest[:32], 2))

"""Checks the targets of webhooks: public addresses, and those in KTRDR_HOOK_NETWORKS."""

import ipaddress

from django.conf import settings

from access.outbound import BadAddress, IPAddress, parse, resolve

NAT64 = ipaddress.ip_network("64:ff9b::/96")


def address_of(url: str) -> str:
    """Return the address to connect to, so that the checked address is the one called, without another lookup.

    Raises BadAddress with the reason.
    """
    _, host = parse(url, "A webhook's address")
    networks = [ipaddress.ip_network(network) for network in settings.HOOK_NETWORKS]
    addresses = resolve(host)
    for address in addresses:
        ip = _unwrap(address)
        public = ip.is_global and not ip.is_multicast
        if not public and not any(ip in network for network in networks):
            raise BadAddress(
                f"{host} resolves to {ip}, which is neither public nor inside KTRDR_HOOK_NETWORKS."
            )
    return str(addresses[0])


def _unwrap(ip: IPAddress) -> IPAddress:
    """Return the IPv4 address that an IPv6 address embeds, if any."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip

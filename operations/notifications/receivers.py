"""Which addresses a webhook may have: public ones, and those in KTRDR_HOOK_NETWORKS. The backend sends requests there."""

import ipaddress

from django.conf import settings

from access.outbound import BadAddress, IPAddress, parse, resolve

NAT64 = ipaddress.ip_network("64:ff9b::/96")


def address_of(url: str) -> str:
    """The address to connect to. What was checked is what is called: the name is not looked up again.

    Raises BadAddress with the reason.
    """
    _, host = parse(url, "A webhook's address")
    networks = [ipaddress.ip_network(network) for network in settings.HOOK_NETWORKS]
    addresses = resolve(host)
    for address in addresses:
        ip = _meant(address)
        public = ip.is_global and not ip.is_multicast
        if not public and not any(ip in network for network in networks):
            raise BadAddress(
                f"{host} resolves to {ip}, which is neither public nor inside KTRDR_HOOK_NETWORKS."
            )
    return str(addresses[0])


def _meant(ip: IPAddress) -> IPAddress:
    """The IPv4 address where the IPv6 one only wraps it."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip

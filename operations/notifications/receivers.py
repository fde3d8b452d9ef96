"""Checks the targets of webhooks: public addresses, and those in KTRDR_HOOK_NETWORKS."""

from django.conf import settings

from access.outbound import check, parse


def address_of(url: str) -> str:
    """Return the address to connect to, so that the checked address is the one called, without another lookup.

    Raises BadAddress with the reason.
    """
    _, host = parse(url, "A webhook's address")
    return str(check(host, settings.HOOK_NETWORKS, "KTRDR_HOOK_NETWORKS", allow_public=True)[0])

"""A private CA of one system: its backend trusts it, its agents and the proxies before them serve by it."""

import ssl
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import trustme

from worker_agent.certificate import server_context


@dataclass
class Certificates:
    """One certificate for all agents, since all of them have the same few addresses."""

    directory: Path
    addresses: tuple[str, ...] = ("127.0.0.1",)

    def __post_init__(self) -> None:
        authority = trustme.CA()
        issued = authority.issue_cert(*self.addresses)
        self.directory.mkdir(parents=True, exist_ok=True)
        authority.cert_pem.write_to_path(self.authority)
        issued.cert_chain_pems[0].write_to_path(self.certificate)
        issued.private_key_pem.write_to_path(self.key)

    @property
    def authority(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def certificate(self) -> Path:
        return self.directory / "agents.pem"

    @property
    def key(self) -> Path:
        return self.directory / "agents.key"

    @property
    def settings(self) -> dict[str, str]:
        """Of the backend, and of the agents."""
        return {
            "KTRDR_WORKER_CA": str(self.authority),
            "KTRDR_TLS_CERT": str(self.certificate),
            "KTRDR_TLS_KEY": str(self.key),
        }

    @cached_property
    def serving(self) -> ssl.SSLContext:
        """As an agent serves."""
        return server_context(self.certificate, self.key)

    @cached_property
    def asking(self) -> ssl.SSLContext:
        """As the backend asks: trusts this CA and nobody else."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=self.authority)
        return context

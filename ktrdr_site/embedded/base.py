"""The backend of `ENGINE = "ktrdr_site.embedded"`: Django's own, which starts the server at first use."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.db.backends.postgresql import base
from django.db.backends.postgresql.client import DatabaseClient as StockClient
from django.db.utils import OperationalError

from ktrdr_site.embedded import cluster
from ktrdr_site.embedded.lease import EmbeddedServerError, ensure_running


class DatabaseClient(StockClient):
    """Runs `manage.py dbshell` with the psql of this server."""

    def runshell(self, parameters: Iterable[str]) -> None:
        self.connection.get_connection_params()
        type(self).executable_name = str(cluster.install_directory() / "bin" / "psql")
        super().runshell(parameters)


class DatabaseWrapper(base.DatabaseWrapper):
    client_class = DatabaseClient

    def get_connection_params(self) -> dict[str, Any]:
        """Start the server, take the lease, and fill in the address."""
        options: dict[str, Any] = self.settings_dict["OPTIONS"]
        directory = Path(options["server_directory"])
        try:
            self.settings_dict["HOST"] = str(ensure_running(directory))
        except EmbeddedServerError as error:
            raise OperationalError(str(error)) from error
        parameters: dict[str, Any] = super().get_connection_params()
        parameters.pop("server_directory")
        return parameters

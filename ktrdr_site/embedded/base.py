"""The backend of `ENGINE = "ktrdr_site.embedded"`: `ktrdr_site.postgresql`, which starts the server at first use."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.db.backends.postgresql.client import DatabaseClient as StockClient
from django.db.utils import OperationalError

from ktrdr_site.embedded import cluster
from ktrdr_site.embedded.lease import EmbeddedServerError, ensure_running
from ktrdr_site.postgresql import base


class DatabaseClient(StockClient):
    """Runs `manage.py dbshell` with the psql of this server."""

    def runshell(self, parameters: Iterable[str]) -> None:
        self.connection.get_connection_params()
        type(self).executable_name = str(cluster.install_directory() / "bin" / "psql")
        super().runshell(parameters)


class DatabaseWrapper(base.DatabaseWrapper):
    client_class = DatabaseClient

    def get_connection_params(self) -> dict[str, Any]:
        """Start the server, take the lease, and fill in the address.

        Without the option `may_create` the database must exist: a command that runs with the settings of no site would
        otherwise report an empty database as if it were the site's.
        """
        options: dict[str, Any] = self.settings_dict["OPTIONS"]
        directory = Path(options["server_directory"])
        if not options.get("may_create") and not cluster.exists(directory):
            raise OperationalError(
                f"{directory} does not contain a database; create one with manage.py up or manage.py prepare, or set "
                "KTRDR_DATA_DIR or KTRDR_DATABASE_URL to those of the site"
            )
        try:
            self.settings_dict["HOST"] = str(ensure_running(directory))
        except EmbeddedServerError as error:
            raise OperationalError(str(error)) from error
        parameters: dict[str, Any] = super().get_connection_params()
        parameters.pop("server_directory")
        parameters.pop("may_create", None)
        return parameters

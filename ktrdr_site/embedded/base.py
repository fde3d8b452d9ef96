"""What Django loads for `ENGINE = "ktrdr_site.embedded"`: the stock backend, with the server started at first use."""

from pathlib import Path
from typing import Any

from django.db.backends.postgresql import base
from django.db.utils import OperationalError

from ktrdr_site.embedded.lease import EmbeddedServerError, ensure_running


class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self) -> dict[str, Any]:
        options: dict[str, Any] = self.settings_dict["OPTIONS"]
        directory = Path(options["server_directory"])
        try:
            self.settings_dict["HOST"] = str(ensure_running(directory))
        except EmbeddedServerError as error:
            raise OperationalError(str(error)) from error
        parameters: dict[str, Any] = super().get_connection_params()
        parameters.pop("server_directory")
        return parameters

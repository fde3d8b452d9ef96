"""`gunicorn --logger-class=ktrdr_site.gunicorn_log.Logger` formats the web server's lines like all others.

Unit files name this path, so it stays here.
"""

import os
from typing import Any

from django.conf import settings
from gunicorn import glogging

from ktrdr_site.observability.logs import formatter


class Logger(glogging.Logger):  # type: ignore[misc]  # no types in the library
    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ktrdr_site.settings")
        for handler in (*self.error_log.handlers, *self.access_log.handlers):
            handler.setFormatter(formatter(settings.LOG_FORMAT))

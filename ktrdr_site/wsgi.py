"""The WSGI application that gunicorn serves."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from access.database_limits import limit_statements
from worker_agent.program import harden_process

harden_process()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ktrdr_site.settings")
gc.disable()  # loading leaves hardly any garbage, and looking for it takes an eighth of the time
application = get_wsgi_application()
limit_statements()
# All views are imported now: a broken one stops the start, and the first request is as fast as the second.
get_resolver().url_patterns  # noqa: B018
# These objects stay. Looking through them for garbage would also copy the memory that forked processes share.
gc.freeze()
gc.enable()

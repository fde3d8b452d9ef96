"""The backend of `ENGINE = "ktrdr_site.postgresql"`."""

import select
from typing import Any

from django.db.backends.postgresql import base, operations
from psycopg import pq


class DatabaseOperations(operations.DatabaseOperations):
    def last_executed_query(self, cursor: Any, sql: Any, params: Any) -> str:
        """Return the text for the log of queries: of a prepared statement without its parameters, which psycopg forgets."""
        return super().last_executed_query(cursor, sql, params) or str(sql)


class DatabaseWrapper(base.DatabaseWrapper):
    ops_class = DatabaseOperations

    def is_usable(self) -> bool:
        """Return whether the server has kept the idle session open.

        Django's own check is a statement per request. Between two statements a server sends nothing, unless it ends the
        session: it stops, or a keepalive finds it gone. Then the socket is readable, which costs one system call to see.
        A rare notice of a changed setting makes it readable as well, and a new session is opened for nothing.
        """
        if self.connection is None:
            return False
        session = self.connection.pgconn
        if session.status != pq.ConnStatus.OK:
            return False
        poll = select.poll()
        poll.register(session.socket, select.POLLIN)
        return not poll.poll(0)

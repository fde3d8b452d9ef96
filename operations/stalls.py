"""Stalled attempts: their job has reported no progress, metric or log line for KTRDR_STALLED_AFTER_S.

The agent measures the silence and reports it with its health, so an operation is watched although nobody looks at it.
The moment at which the silence started is the database's. Agents of older releases report no silence.
"""

from collections.abc import Mapping

from django.conf import settings
from django.db import connection

from worker_agent.protocol import Health

# Only a change is written: a healthy system of any size writes nothing here.
_RECORD = """
    UPDATE operations_attempt AS attempt
       SET silent_since = CASE WHEN heard.silent_s >= %s
                               THEN statement_timestamp() - make_interval(secs => heard.silent_s) END
      FROM unnest(%s::text[], %s::text[], %s::int[], %s::float8[])
           AS heard(worker_id, operation_id, number, silent_s)
     WHERE attempt.worker_id = heard.worker_id AND attempt.operation_id = heard.operation_id
       AND attempt.number = heard.number AND attempt.ended_at IS NULL
       AND (attempt.silent_since IS NULL) = (heard.silent_s >= %s)
"""


def record(answers: Mapping[str, Health]) -> None:
    """Mark the attempts whose jobs have been silent for too long, and clear the mark of those that report again."""
    heard = [
        (worker_id, health.current_operation, health.current_attempt, health.silent_s)
        for worker_id, health in answers.items()
        if health.silent_s is not None and health.current_operation and health.current_attempt
    ]
    if not heard:
        return
    columns = [list(column) for column in zip(*heard, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, [settings.STALLED_AFTER_S, *columns, settings.STALLED_AFTER_S])

"""Lists, searches and summaries over 200,000 operations: the time in the database per page or request.

Target: each below 100 ms. Prints the median of a few runs after one that fills the caches.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks._database import set_up_django
from benchmarks._figures import print_figure
from benchmarks._system import running

OPERATIONS = 200_000
ROUNDS = 5
USERS, WORKERS, STRATEGIES = 50, 200, 400

USERS_SQL = """
INSERT INTO auth_user (username, password, first_name, last_name, email, is_staff, is_superuser, is_active, date_joined)
SELECT 'user-' || number, '', '', '', '', false, false, true, now() FROM generate_series(0, %s) AS number
"""

# Every tenth run is a training, the others are backtests of the newest training before them; 140 a day for four years.
OPERATIONS_SQL = """
INSERT INTO operations_operation (
    operation_id, operation_type, status, parameters, requirements, prefer_gpu, priority, queue, created_at, started_at,
    completed_at, waiting_reason, worker_id, attempt, max_attempts, attempts_from, resume, progress, result, error_class,
    error_message, error_traceback, idempotency_key, request_sha256, created_by_id
)
SELECT
    'run' || to_char(number, 'FM000000'), CASE number %% 10 WHEN 0 THEN 'training' ELSE 'backtesting' END, status,
    CASE number %% 10
        WHEN 0 THEN jsonb_build_object(
            'strategy_yaml', 'name: variant-' || number / 10 %% %s || '-of-%s' || E'\\n' || repeat(md5((number / 10 %% %s)::text), 30),
            'symbols', jsonb_build_array(symbol, 'IBM'), 'seed', number)
        ELSE jsonb_build_object('model', 'run' || to_char(number - number %% 10, 'FM000000'), 'symbol', symbol,
            'timeframe', '1d', 'start_date', '2010-01-01', 'commission', 0.001, 'seed', number)
    END,
    '{}', false, 0, true, created, CASE WHEN status <> 'PENDING' THEN created END,
    CASE WHEN status IN ('COMPLETED', 'FAILED', 'CANCELLED') THEN created + interval '2 minutes' END,
    '', CASE WHEN status <> 'PENDING' THEN 'worker-' || number %% %s ELSE '' END, 1, 3, 0, true, '{}',
    CASE WHEN status = 'COMPLETED' THEN jsonb_build_object('metrics', jsonb_build_object(
        'total_return', sin(number), 'sharpe', cos(number)), 'settings', repeat(md5(number::text), 20)) END,
    CASE WHEN status = 'FAILED' THEN 'job' ELSE '' END,
    CASE WHEN status = 'FAILED' THEN 'ValueError: the bars end before the window' ELSE '' END, '', '', '',
    (SELECT id FROM auth_user WHERE username = 'user-' || number %% %s)
FROM (
    SELECT number, clock_timestamp() - (200000 - number) * interval '10 minutes' AS created,
        (ARRAY['AAPL', 'MSFT', 'GOOG', 'F', 'KO'])[number %% 5 + 1] AS symbol,
        CASE WHEN number > 199900 THEN 'PENDING' WHEN number %% 20 = 7 THEN 'FAILED' WHEN number %% 50 = 9 THEN 'CANCELLED'
             ELSE 'COMPLETED' END AS status
    FROM generate_series(1, %s) AS number
) AS numbered
"""
ATTEMPTS_SQL = """
INSERT INTO operations_attempt (operation_id, number, worker_id, instance_id, endpoint_url, claimed_at, started_at, ended_at,
    outcome, error, report_sha256, metrics_cursor, logs_cursor)
SELECT operation_id, 1, worker_id, '0', 'http://127.0.0.1:9', created_at, started_at, completed_at, lower(status), '', '', 0, 0
FROM operations_operation WHERE completed_at IS NOT NULL
"""


def main() -> None:
    with running(KTRDR_HEALTH_INTERVAL_S="3600") as system:
        set_up_django(system.data)
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute(USERS_SQL, [USERS])
            started = time.perf_counter()
            cursor.execute(OPERATIONS_SQL, [STRATEGIES, STRATEGIES, STRATEGIES, WORKERS, USERS, OPERATIONS])
            cursor.execute(ATTEMPTS_SQL)
            print(f"stored {OPERATIONS:,} operations in {time.perf_counter() - started:.0f} s", flush=True)
            cursor.execute("VACUUM ANALYZE")
        for name, read in readings().items():
            print_figure(f"{name} at {OPERATIONS:,} operations, database", database_ms(read), "ms")


def readings() -> dict[str, Callable[[], Any]]:
    """Return name -> a function that sends the statements of that page or request."""
    from django.contrib.auth.models import User
    from django.core.cache import cache
    from django.test import Client
    from django.urls import reverse

    User.objects.filter(username="admin").update(is_staff=True)
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.get(username="admin"))

    def get(address: str) -> Callable[[], Any]:
        def read() -> None:
            cache.clear()
            response = client.get(address)
            if response.status_code != 200:
                raise SystemExit(f"GET {address}: {response.status_code}")

        return read

    page = reverse("dashboard:operations")
    return {
        "API search, common word": get("/operations?search=aapl"),
        "API search, rare word": get("/operations?search=variant-7-of-400"),
        "API search, no match": get("/operations?search=nothing-like-it"),
        "API search, short word": get("/operations?search=zz"),
        "API list by user": get("/operations?created_by=user-7"),
        "API list by user without operations": get("/operations?created_by=nobody"),
        "API list by status": get("/operations?status=FAILED"),
        "page of operations": get(page),
        "page of operations, search": get(f"{page}?search=aapl"),
        "page of operations, recently ended": get(f"{page}?order=-completed"),
        "page of operations, page 150": get(f"{page}?page=150"),
        "page of strategies": get(reverse("dashboard:strategies")),
        "overview": get(reverse("dashboard:overview")),
        "metrics": get("/metrics"),
    }


def database_ms(read: Callable[[], Any]) -> float:
    """Return the median time that the statements of `read` took, in milliseconds."""
    from django.db import connection

    spent: list[float] = []

    def measure(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        started = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            spent[-1] += 1000 * (time.perf_counter() - started)

    for _ in range(ROUNDS + 1):
        spent.append(0.0)
        with connection.execute_wrapper(measure):
            read()
    return statistics.median(spent[1:])


if __name__ == "__main__":
    main()

"""Other task queues on PostgreSQL, as programs for `_peers.peer`. Their no-op tasks have no HTTP, events, fence or reports.

Arguments: the directory of the server's socket, its user, and a database that the program may fill. Each question is
`run NUMBER` or `idle ROUNDS`; the answer of `run` is `seconds`, that of `idle` the sorted waits from submission to start.
"""

PROCRASTINATE = r"""
import asyncio, json, sys, time
import procrastinate

host, user, name = sys.argv[1:]
app = procrastinate.App(connector=procrastinate.PsycopgConnector(
    conninfo=f"host={host} user={user} dbname={name}", min_size=8, max_size=20))
started = []

@app.task(queue="noop")
async def noop():
    started.append(time.perf_counter())

async def run(number):
    before, begun, left = len(started), time.perf_counter(), iter(range(number))
    async def submit():
        for _ in left:
            await noop.defer_async()
    await asyncio.gather(*(submit() for _ in range(8)))
    while len(started) < before + number:
        await asyncio.sleep(0.005)
    return {"seconds": time.perf_counter() - begun}

async def idle(rounds):
    waits = []
    for _ in range(rounds):
        before, begun = len(started), time.perf_counter()
        await noop.defer_async()
        while len(started) == before:
            await asyncio.sleep(0.0005)
        waits.append(started[-1] - begun)
        await asyncio.sleep(0.05)
    return {"waits": sorted(waits)}

async def main():
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        worker = asyncio.create_task(app.run_worker_async(
            queues=["noop"], concurrency=10, install_signal_handlers=False, delete_jobs="never"))
        for line in iter(lambda: None, 1):
            question = await asyncio.to_thread(sys.stdin.readline)
            if not question:
                break
            kind, number = question.split()
            print(json.dumps(await {"run": run, "idle": idle}[kind](int(number))), flush=True)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)

asyncio.run(main())
"""

DJANGO_Q2 = r"""
import json, os, signal, sys, time
import django
from django.conf import settings

host, user, name = sys.argv[1:]
settings.configure(
    SECRET_KEY="x", USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django_q"],
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": name, "USER": user, "HOST": host,
                           "CONN_MAX_AGE": 600}},
    Q_CLUSTER={"name": "bench", "orm": "default", "workers": 2, "poll": 0.02, "timeout": 60, "retry": 120,
               "save_limit": 0, "scheduler": False, "catch_up": False, "queue_limit": 50},
    LOGGING_CONFIG=None)
django.setup()
import logging
logging.disable(logging.CRITICAL)
from django.core.management import call_command
from django.db import connection, connections
from django_q.models import Success
from django_q.tasks import async_task

call_command("migrate", verbosity=0)
connections.close_all()
parent = os.getpid()
cluster = os.fork()
if cluster == 0:
    os.setsid()
    from django_q.cluster import Cluster
    one = Cluster()
    one.start()
    while os.getppid() == parent and not one.has_stopped:
        time.sleep(0.2)
    os.killpg(0, signal.SIGKILL)  # without its database an orderly stop never ends
try:
    for question in iter(sys.stdin.readline, ""):
        kind, number = question.split()
        before, begun = Success.objects.count(), time.perf_counter()
        for _ in range(int(number)):
            async_task("time.time")
        while Success.objects.count() < before + int(number):
            time.sleep(0.02)
        print(json.dumps({"seconds": time.perf_counter() - begun}), flush=True)
finally:
    os.killpg(cluster, signal.SIGKILL)
"""

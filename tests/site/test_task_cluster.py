"""The process of the task cluster ends in order at SIGTERM, and each of its children at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import multiprocessing, os, signal, time
import django; django.setup()
import django_q.cluster
from ktrdr_site.task_cluster import run_cluster

class Sentinel(django_q.cluster.Sentinel):
    def start(self):
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
        child.start()
        child.terminate()
        child.join()
        os.kill(os.getpid(), signal.SIGTERM)
        print(child.exitcode, self.stop_event.wait(60), os.getsid(0) == os.getpid(), flush=True)

django_q.cluster.Sentinel = Sentinel
django_q.cluster.get_broker = lambda: None  # it connects to the database
signal.signal(signal.SIGTERM, lambda *_: None)  # as the process of the schedules has one
cluster = multiprocessing.get_context("fork").Process(target=run_cluster, args=(os.getpid(),))
cluster.start()
cluster.join()
print(cluster.exitcode)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the cluster is a new program")
def test_a_signal_stops_the_cluster_in_order_and_its_children_at_once(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "ktrdr_site.settings",
        "KTRDR_DATA_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split("\n")[:2] == ["-15 True True", "0"], done.stderr

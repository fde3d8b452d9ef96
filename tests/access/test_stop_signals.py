"""A signal stops a command at whatever moment it arrives."""

import subprocess
import sys

LOCKED_UP_AFTER_S = 60
PROGRAM = """
import os, queue, random, signal, sys, threading, time
from access.stop_signals import stop_on_signals

sys.setswitchinterval(1e-5)
rounds = queue.SimpleQueue()

def send():
    for number in iter(rounds.get, None):
        time.sleep(random.random() / 1000)
        os.kill(os.getpid(), (signal.SIGTERM, signal.SIGINT)[number % 2])

stop = stop_on_signals()
threading.Thread(target=send, daemon=True).start()
for number in range(500):
    stop.clear()
    rounds.put(number)
    while not stop.wait(0.0):
        pass
print("stopped each time")
"""


def test_a_signal_during_each_step_of_the_wait_is_no_deadlock() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=LOCKED_UP_AFTER_S, check=True
    )
    assert done.stdout == "stopped each time\n"

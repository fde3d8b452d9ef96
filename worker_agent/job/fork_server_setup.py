"""Imported first by the fork server, and only by it: ends the server when its agent ends, and only then.

Every job holds the pipe by which Python's fork server notices that nobody needs it any more. After the agent is
killed, the server, and with it a running job, would live until that job ends; the Linux kernel ends them instead.

SIGTERM to the whole process group or service is handled by the agent. If the server died of it, its job would die
too, before the agent could ask that job for a checkpoint.
"""

import os
import signal

from worker_agent.job import linux

signal.signal(signal.SIGTERM, signal.SIG_IGN)
linux.die_with_parent(os.getppid())

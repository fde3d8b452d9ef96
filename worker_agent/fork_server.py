"""Imported by the fork server alone, before anything else: it ends with its agent, and only with its agent.

Every job holds the pipe by which Python's fork server notices that nobody needs it, so it would outlive a killed
agent for as long as a job runs, and that job with it: the kernel is asked to end it instead.

A SIGTERM to the whole group or service is the agent's affair. Were the server to die of it, its job would die with
it, before the agent could ask that job for a checkpoint.
"""

import os
import signal

from worker_agent import kernel

signal.signal(signal.SIGTERM, signal.SIG_IGN)
kernel.die_with_parent(os.getppid())

"""Imported by the fork server alone, before anything else: a SIGTERM to the whole group or service is the agent's affair.

Were the server to die of it, its job would die with it, before the agent could ask that job for a checkpoint.
"""

import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)

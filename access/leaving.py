"""Whether this process is about to end: what only waits then stops waiting."""

import threading

LEAVING = threading.Event()
"""Set by the signal handler of the web server's worker."""

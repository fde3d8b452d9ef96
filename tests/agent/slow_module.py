"""Takes long to import, as libraries do."""

import time

print("importing a slow module", flush=True)
time.sleep(1)

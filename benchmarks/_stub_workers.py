"""`python -m benchmarks._stub_workers COUNT HANGING`: serves stub workers until its input ends.

Prints one JSON list of `[worker id, instance id, url]`; the first HANGING of them never answer.
"""

import asyncio
import json
import sys
from collections import deque
from contextlib import AsyncExitStack

from worker_agent.testing import StubWorker, hang

FOR_EVER = 1_000


async def main(count: int, hanging: int) -> None:
    async with AsyncExitStack() as stack:
        stubs = [StubWorker(f"stub-{number:05}", "http://127.0.0.1:1", "") for number in range(count)]
        for stub in stubs:
            await stack.enter_async_context(stub)
        for stub in stubs[:hanging]:
            stub.instead["health"] = deque([hang] * FOR_EVER)
        print(json.dumps([(stub.worker_id, stub.instance_id, stub.url) for stub in stubs]), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))

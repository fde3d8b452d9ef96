"""Job processes that are forked from a server in which their libraries are loaded and warm.

    agent ── connection per job ──▶ keeper ──▶ job
                                     ▲
    fork server ─────────────────────┘ forks a keeper for each connection

The keeper is the parent of one job. It kills the job and whatever that started when the agent or the server ends,
and tells the agent how the job ended. The job reads what it has to do from a pipe of its own, so neither the server nor a
later job ever holds the parameters or data of another.
"""

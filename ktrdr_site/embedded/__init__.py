"""Django database backend: PostgreSQL that this site starts itself, and that stops with its last user.

Every process that connects holds a shared `flock` on `lease`. Whoever finds no server starts `watcher`, which runs
PostgreSQL as its child and waits for the exclusive lock on `lease`: the kernel gives it when the last user is gone,
however it went, SIGKILL included. `server.lock` is held by watcher and server alike, so a new server never meets an
old one that is still on its way out.
"""

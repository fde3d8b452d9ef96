"""Django database backend: PostgreSQL that this site starts itself, and that stops with its last user.

Every process that connects holds a shared `flock` on `lease`. A process that finds no server starts `watcher`, which
runs PostgreSQL as its child and waits for the exclusive lock on `lease`: the kernel grants it when the last user has
ended, for whatever reason, SIGKILL included. Watcher and server both hold `server.lock`, so a new server never meets
an old one that is still shutting down.
"""

"""Start every deployment for real: `make deploy-test`, as root on Debian 12; ARGS="systemd lxc" for some of them.

Each trial runs in network namespaces and on Debian roots of its own and removes what it made, also after a failure.
"""

#!/bin/sh
# Makes a Proxmox LXC template with a KTRDR worker installed. Run on the Proxmox host as root.
#   make-template.sh CTID WHEELS REQUIREMENTS [STORAGE] [BASE_TEMPLATE]
# WHEELS: a folder filled by `pip wheel --no-deps --wheel-dir WHEELS ./worker_agent .` in the repository.
# REQUIREMENTS: the folder requirements/ of the repository.
# EXTRA= in the environment omits torch, for workers that only import market data.
set -eu

[ $# -ge 3 ] || { echo "usage: $0 CTID WHEELS REQUIREMENTS [STORAGE] [BASE_TEMPLATE]" >&2; exit 2; }
ctid=$1 wheels=$2 requirements=$3
storage=${4:-local-lvm}
base=${5:-local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst}
extra=${EXTRA-training}
here=$(cd "$(dirname "$0")" && pwd)

command -v pct >/dev/null || { echo "pct is missing: this is not a Proxmox host" >&2; exit 1; }
for name in ktrdr_worker_agent ktrdr_workers; do
    set -- "$wheels/$name"-*.whl
    [ -f "$1" ] && [ $# = 1 ] || { echo "$wheels: must contain one wheel of $name" >&2; exit 1; }
done
[ -f "$requirements/install.sh" ] || { echo "$requirements: not the folder with install.sh" >&2; exit 1; }
if pct status "$ctid" >/dev/null 2>&1; then echo "container $ctid exists already" >&2; exit 1; fi

pct create "$ctid" "$base" --hostname ktrdr-template --cores 4 --memory 8192 --swap 0 \
    --rootfs "$storage:16" --net0 name=eth0,bridge=vmbr0,ip=dhcp --unprivileged 1 --features nesting=1
pct start "$ctid"
trap 'pct stop "$ctid" >/dev/null 2>&1 || true' EXIT

tries=0
until pct exec "$ctid" -- getent hosts deb.debian.org >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || { echo "container $ctid has no network after 60 s" >&2; exit 1; }
    sleep 1
done

pct exec "$ctid" -- sh -c 'apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3 python3-venv'
pct exec "$ctid" -- useradd --system --create-home --home-dir /var/lib/ktrdr --shell /usr/sbin/nologin ktrdr
pct exec "$ctid" -- mkdir -p /opt/ktrdr-worker /etc/ktrdr /tmp/ktrdr
for wheel in "$wheels"/ktrdr_worker*.whl; do
    pct push "$ctid" "$wheel" "/tmp/ktrdr/$(basename "$wheel")"
done
for file in install.sh importer.txt workers.txt torch-cpu.txt torch-pypi.txt cuda.txt; do
    pct push "$ctid" "$requirements/$file" "/tmp/ktrdr/$file"
done
pct push "$ctid" "$here/../systemd/ktrdr-worker@.service" /etc/systemd/system/ktrdr-worker@.service
pct exec "$ctid" -- python3 -m venv /opt/ktrdr-worker/.venv
if [ -n "$extra" ]; then names="workers torch"; else names=importer; fi
# shellcheck disable=SC2086  # the names are words
pct exec "$ctid" -- sh /tmp/ktrdr/install.sh /opt/ktrdr-worker/.venv/bin/python $names
pct exec "$ctid" -- sh -c "/opt/ktrdr-worker/.venv/bin/pip install --quiet --no-deps /tmp/ktrdr/*.whl"
pct exec "$ctid" -- rm -r /tmp/ktrdr
pct stop "$ctid"
trap - EXIT
pct template "$ctid"
echo "template $ctid is ready: deploy/lxc/provision-worker.sh $ctid NEW_CTID ADDRESS/24 GATEWAY backtesting API_URL TOKEN_FILE"

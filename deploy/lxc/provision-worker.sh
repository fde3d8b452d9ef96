#!/bin/sh
# Clones one worker from the template and starts it. Run on the Proxmox host as root.
#   provision-worker.sh TEMPLATE CTID ADDRESS/BITS GATEWAY backtesting|training API_URL TOKEN_FILE
# e.g. provision-worker.sh 300 301 192.168.1.201/24 192.168.1.1 backtesting http://192.168.1.100:8000 worker-token
# The token is read from a file, so that it appears neither in the process list nor in the history of the shell.
set -eu

[ $# -eq 7 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
template=$1 ctid=$2 address=$3 gateway=$4 type=$5 api_url=$6 token_file=$7

case $type in
    backtesting) port=5003 ;;
    training) port=5004 ;;
    *) echo "$type: the worker type is backtesting or training" >&2; exit 2 ;;
esac
command -v pct >/dev/null || { echo "pct is missing: this is not a Proxmox host" >&2; exit 1; }
[ -r "$token_file" ] || { echo "$token_file: cannot be read" >&2; exit 1; }
if pct status "$ctid" >/dev/null 2>&1; then echo "container $ctid exists already" >&2; exit 1; fi

environment=$(mktemp) problem=$(mktemp)
trap 'rm -f "$environment" "$problem"' EXIT
chmod 600 "$environment"
{
    echo "KTRDR_API_URL=$api_url"
    echo "WORKER_TYPE=$type"
    echo "WORKER_PORT=$port"
    echo "WORKER_ID=$type-$ctid"
    printf 'KTRDR_WORKER_TOKEN=%s\n' "$(cat "$token_file")"
} >"$environment"

pct clone "$template" "$ctid" --hostname "ktrdr-$type-$ctid"
pct set "$ctid" --net0 "name=eth0,bridge=vmbr0,ip=$address,gw=$gateway" --onboot 1
pct start "$ctid"
pct push "$ctid" "$environment" /etc/ktrdr/worker.env --perms 600
tries=0
# Until the container's systemd is up, each try fails with an error of its bus.
until pct exec "$ctid" -- systemctl enable --now ktrdr-worker@1 2>"$problem"; do
    tries=$((tries + 1))
    [ "$tries" -lt 30 ] || { cat "$problem" >&2; echo "container $ctid does not start the worker" >&2; exit 1; }
    sleep 1
done
echo "worker $type-$ctid starts at ${address%/*}:$port and registers with $api_url"

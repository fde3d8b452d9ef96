#!/bin/sh
# Clones several workers with consecutive numbers and addresses. Run on the Proxmox host as root.
#   provision-workers.sh COUNT TEMPLATE FIRST_CTID FIRST_ADDRESS/BITS GATEWAY backtesting|training API_URL TOKEN_FILE
# e.g. provision-workers.sh 2 300 301 192.168.1.201/24 192.168.1.1 backtesting http://192.168.1.100:8000 worker-token
#   makes container 301 at .201 and 302 at .202
set -eu

[ $# -eq 8 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
count=$1 template=$2 first=$3 address=$4 gateway=$5 type=$6 api_url=$7 token_file=$8
here=$(cd "$(dirname "$0")" && pwd)

bits=${address#*/} host=${address%/*}
network=${host%.*} last=${host##*.}
case "$count$first$last$bits" in
    *[!0-9]*) echo "COUNT, FIRST_CTID and FIRST_ADDRESS/BITS are numbers, the address an IPv4 one" >&2; exit 2 ;;
esac
[ $((last + count - 1)) -le 254 ] || { echo "$count addresses from $host on do not fit into $network.0" >&2; exit 2; }

number=0
while [ "$number" -lt "$count" ]; do
    "$here/provision-worker.sh" "$template" $((first + number)) "$network.$((last + number))/$bits" \
        "$gateway" "$type" "$api_url" "$token_file"
    number=$((number + 1))
done

#!/usr/bin/env bash
# ping_pong_signals_test.sh PROGRAM: SIGTERM ends a slave and a master that play for ever, both without an error.
set -euo pipefail
program=$1
port=12346
heard=$(mktemp)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -f "$heard"' EXIT

# Until the master has printed that text more often than that; count says how often.
wait_for_more() {
    local text=$1 than=$2
    for _ in {1..300}; do
        count=$(grep -c "$text" "$heard" || true)
        ((count <= than)) || return 0
        sleep 0.1
    done
    echo "not seen: $text" >&2 && return 1
}

"$program" master $port --forever >"$heard" &
master=$!
wait_for_more Start 0
"$program" slave 127.0.0.1 $port &
first=$!
"$program" slave 127.0.0.1 $port &
second=$!
wait_for_more "Connected" 1
wait_for_more "Received from slave" 0

kill -TERM $first
wait $first
# The other one plays on.
wait_for_more "Received from slave" "$count"
kill -TERM $master
wait $master
wait $second
echo "both ended by themselves"

#!/usr/bin/env bash
# service_test.sh PROGRAM: one slave process works for three services in turn, on one port. The first is told to quit,
# the second is killed.
set -euo pipefail
program=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"; kill $(jobs -p) 2>/dev/null || true' EXIT
mkfifo "$folder/in" "$folder/out"

# A port that nobody listens on
while port=$((20000 + RANDOM % 10000)) && (: <>/dev/tcp/127.0.0.1/$port) 2>/dev/null; do :; done

begin() {
    exec 3>&- 4<&-
    "$program" $port <"$folder/in" >"$folder/out" &
    service=$!
    exec 3>"$folder/in" 4<"$folder/out"
}
tell() { echo "$*" >&3; }

# Reads answers until one matches.
hear() {
    while IFS= read -r -t 20 -u 4 line; do
        echo "$line"
        [[ ! $line =~ $1 ]] || return 0
    done
    echo "not heard: $1" >&2
    return 1
}

# Asks for the status until it says so.
wait_until() {
    local until=$((SECONDS + 20))
    for ((; SECONDS < until; )); do
        tell status
        hear '^slaves: '
        [[ ! $line =~ ^$1 ]] || return 0
        sleep 0.1
    done
    echo "the status was never: $1" >&2
    return 1
}

# In the words of factor, a prime has one factor.
expected="^$(seq 2 9999 | factor | awk 'NF == 2' | wc -l) primes below 10000$"

"$program" slave $port &
slave=$!

begin
wait_until 'slaves: 1,'
tell call 10000
hear "$expected"
wait_until 'slaves: 1, slots: [0-9]+, backlog: 0, calls: 1, succeeded: 1$'

tell slave add
wait_until 'slaves: 2,'
hear "  slave [0-9]+: .*:$slave, "  # in the order in which they came
hear '  slave [0-9]+: '
tell slave drain $(grep -oE '[0-9]+' <<<"$line" | head -n 1)
hear ' has left$'
wait_until 'slaves: 1,'
hear ":$slave, "

tell call
hear '^commands: '
tell call 10000
tell quit  # what was called is answered first
hear "$expected"
wait $service

begin
wait_until 'slaves: 1,'
hear ":$slave, "
tell call 10000
hear "$expected"
kill -KILL $service
wait $service 2>/dev/null || true

begin
tell call 10000  # waits for the slave
hear "$expected"
tell status
hear ":$slave, .* 1 done"
tell quit
wait $service

kill -TERM $slave
wait $slave
echo "one slave, three services"

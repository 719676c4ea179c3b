#!/usr/bin/env bash
# tls_test.sh PROGRAM SOURCE: with the certificates that the commands in its source make, a master and a slave work
# together; a slave with the master's certificate is not let in.
set -euo pipefail
program=$1
source=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"; kill $(jobs -p) 2>/dev/null || true' EXIT
cd "$folder"
sed -n 's,^//     ,,p' "$source" | bash -e 2>errors || { cat errors && exit 1; }

port=$((20000 + RANDOM % 10000))
"$program" slave "$folder" localhost $port &
slave=$!
"$program" master "$folder" $port | tee answer
grep -Fx "The sum of the first 1000 cubes is 250500250000" answer
wait $slave

mkdir wrong
cp authority.pem wrong/
for end in pem key; do cp -p master.$end wrong/slave.$end; done
"$program" master "$folder" $port 2>log >/dev/null &
master=$!
"$program" slave "$folder/wrong" localhost $port 2>said &
for ((i = 0; i < 300; ++i)); do
    grep -q "Disconnected from: a stranger" log && grep -q "unsupported certificate" said && break
    sleep 0.1
done
cat log said
grep -q "Disconnected from: a stranger" log
grep -q "unsupported certificate" said
kill -0 $master  # and waits for a slave

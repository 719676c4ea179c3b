#!/usr/bin/env bash
# The picture of the example is the one that awk computes; by a slave from elsewhere, too.
set -euo pipefail
program=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"; kill $(jobs -p) 2>/dev/null || true' EXIT
cd "$folder"

awk 'BEGIN {
    for (row = 0; row < 40; ++row)
        for (column = 0; column < 50; ++column) {
            x = -2.0 + 2.8 * column / 50; y = -1.2 + 2.4 * row / 40; a = 0; b = 0
            for (steps = 0; steps < 255 && a * a + b * b <= 4; ++steps) { t = a * a - b * b + x; b = 2 * a * b + y; a = t }
            print 255 - steps
        }
}' >expected

same() { tail -c 2000 "$1" | od -An -v -tu1 -w1 | tr -d ' ' | diff -q - expected; }

"$program" local.pgm 50 40 --distwork-slaves=3 | tee said
same local.pgm
(($(awk -F'[: ]+' '{ all += $(NF - 1) } END { print all }' said) == 3))

# A slave from elsewhere, which waits for the program, and ends at its bye
port=$((20000 + RANDOM % 10000))
"$program" --distwork-slave-of=127.0.0.1:$port --distwork-name=elsewhere &
"$program" remote.pgm 50 40 --distwork-slaves=0 --distwork-listen=127.0.0.1:$port | grep -F "elsewhere: 3 tiles"
same remote.pgm
wait $!

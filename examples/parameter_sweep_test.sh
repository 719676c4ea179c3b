#!/usr/bin/env bash
# parameter_sweep_test.sh PROGRAM: a slave and the program are killed, again and again. What stood in the file before is
# not computed again, and in the end it has all rows, with the values that awk computes.
set -euo pipefail
program=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"; kill $(jobs -p) 2>/dev/null || true' EXIT
cd "$folder"
short=20000
long=300

awk -v short=$short -v long=$long 'BEGIN {
    for (i = 0; i < long; ++i) print "long," i "," i * i % 1009
    for (i = 0; i < short; ++i) {
        n = i + 1
        for (steps = 0; n != 1; ++steps) n = n % 2 ? 3 * n + 1 : n / 2
        print "short," i "," steps
    }
}' | sort >expected

sweep=("$program" sweep.csv $short $long 40 --journal sweep.db --distwork-slaves=2 --distwork-log=error)
# The rows that are whole, and were computed then.
rows_of() { awk -F, -v when="^($1)\$" 'NR > 1 && NF == 4 && $4 ~ when && $3 != "error" { print $1 "," $2 "," $3 }' "$2" | sort; }
rows() { { cat sweep.csv.part 2>/dev/null || true; } | wc -l; }

# Waits until the file has so many rows, or is complete.
wait_for_rows() {
    local until=$((SECONDS + 20))
    while (($(rows) < $1 && SECONDS < until)) && [[ ! -e sweep.csv ]]; do sleep 0.01; done
    (($(rows) >= $1)) || [[ -e sweep.csv ]]
}

: >read
for rows in 100 5000 $((short / 2)); do
    rm -f sweep.csv.part sweep.csv
    "${sweep[@]}" &
    wait_for_rows $rows
    slave=$(pgrep -P $! | head -n 1 || true)
    kill -KILL "$slave" || true
    sleep 0.05
    kill -KILL $! 2>/dev/null || true
    wait $! 2>/dev/null || true
    [[ -e sweep.csv.part ]] || mv sweep.csv sweep.csv.part  # it was faster, and is complete
    # Nothing that was read before was computed now.
    [[ -z $(rows_of now sweep.csv.part | comm -12 - read) ]]
    rows_of "now|before" sweep.csv.part | sort -u - read >more
    mv more read
done
echo "killed three times, with $(wc -l <read) rows"
(($(wc -l <read) > short / 2))

for i in 1 2 3; do  # a long job may fail four times
    "${sweep[@]}" && break
done
[[ -z $(rows_of now sweep.csv | comm -12 - read) ]]
rows_of "now|before" sweep.csv | diff -q - expected
echo "complete, $(grep -c ,before$ sweep.csv) of them from before"

#!/usr/bin/env bash
# word_count_test.sh PROGRAM FOLDER…: its 20 most frequent words are those that the usual tools count.
set -euo pipefail
export LC_ALL=C
program=$1
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"; kill $(jobs -p) 2>/dev/null || true' EXIT

# The echo keeps the last word of a file apart from the first of the next.
find "$@" -type f -exec sh -c 'for file; do cat "$file"; echo; done' sh {} + |
    tr -cs A-Za-z '\n' | tr A-Z a-z | sed '/^$/d' | sort | uniq -c |
    sort -k1,1nr -k2,2 | awk 'NR <= 20 { print $1, $2 }' >"$folder/expected"

"$program" "$@" | diff "$folder/expected" -
echo "the same 20 words"

# A file that is not there is told of, and the others are counted.
status=0
"$program" "$@" "$folder/absent" >"$folder/actual" 2>"$folder/errors" || status=$?
diff "$folder/expected" "$folder/actual"
grep -F "$folder/absent: No such file" "$folder/errors"
((status == 1))

# A slave from elsewhere, which waits for the program, and ends at its bye
port=$((20000 + RANDOM % 10000))
"$program" --distwork-slave-of=127.0.0.1:$port &
"$program" "$@" --distwork-slaves=0 --distwork-listen=127.0.0.1:$port | diff "$folder/expected" -
wait $!
echo "the same by a slave from elsewhere"

# The same with a secret, and a slave with another one, which is not let in
if [[ ${WITH_TLS:-} ]]; then
    for name in ours theirs; do (umask 077 && head -c 32 /dev/urandom >"$folder/$name.key"); done
    "$program" --distwork-slave-of=127.0.0.1:$port --distwork-secret="$folder/theirs.key" 2>"$folder/theirs.log" &
    stranger=$!
    "$program" --distwork-slave-of=127.0.0.1:$port --distwork-secret="$folder/ours.key" &
    ours=$!
    "$program" "$@" --distwork-slaves=0 --distwork-listen=0.0.0.0:$port --distwork-secret="$folder/ours.key" |
        diff "$folder/expected" -
    wait $ours
    kill $stranger
    "$program" "$@" --distwork-slaves=2 --distwork-secret="$folder/ours.key" | diff "$folder/expected" -
    chmod o+r "$folder/ours.key"
    status=0
    "$program" "$@" --distwork-secret="$folder/ours.key" 2>"$folder/errors" || status=$?
    grep -F "$folder/ours.key" "$folder/errors"
    ((status == 2))
    echo "the same with a secret"
fi

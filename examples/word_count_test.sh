#!/usr/bin/env bash
# word_count_test.sh PROGRAM FOLDER…: its 20 most frequent words are those that the usual tools count.
set -euo pipefail
export LC_ALL=C
program=$1
shift

# The echo keeps the last word of a file apart from the first of the next.
expected=$(find "$@" -type f -exec sh -c 'for file; do cat "$file"; echo; done' sh {} + |
    tr -cs A-Za-z '\n' | tr A-Z a-z | sed '/^$/d' | sort | uniq -c |
    sort -k1,1nr -k2,2 | awk 'NR <= 20 { print $1, $2 }')
# What else it prints (who connected, how long it took) is its own affair.
actual=$("$program" "$@" | awk '/^ *[0-9]+ [a-z]+$/ { print $1, $2 }')

diff <(echo "$expected") <(echo "$actual") && echo "the same 20 words"

#!/usr/bin/env bash
# monte_carlo_pi_test.sh PROGRAM: it counts the points that bash counts, however many slaves there are.
set -euo pipefail
program=$1

# bash computes with 64 bits, signed: so >> needs a mask.
samples=25000
inside=0
for ((place = 0; place < samples; ++place)); do
    ((z = (place + 1) * 0x9e3779b97f4a7c15,
    z = (z ^ (z >> 30 & 0x3ffffffff)) * 0xbf58476d1ce4e5b9,
    z = (z ^ (z >> 27 & 0x1fffffffff)) * 0x94d049bb133111eb,
    z ^= z >> 31 & 0x1ffffffff,
    x = z >> 33 & 0x7fffffff,
    y = z & 0x7fffffff,
    inside += x * x + y * y < 1 << 62)) || true
done

for slaves in 1 3; do
    "$program" $samples --distwork-slaves=$slaves | tee /dev/stderr | grep "^$inside of $samples points: "
done

# Many points come near pi.
"$program" 20000000 | tee /dev/stderr | awk '{
    sub(",", "", $8)
    distance = $8 - 3.14159265358979
    if (distance < 0) distance = -distance
    exit !($NF < 0.0004 && distance < 5 * $NF)
}'

#!/bin/sh
# Shows that a seed is a run: the same hash over many runs, in other processes, debug and release, on one core and
# on two, under load, however many tests run side by side, and whatever the environment.
#
#   tests/determinism.sh [RUNS [SEED]]     1000 runs of seed 7 where nothing is said
set -eu
cd "$(dirname "$0")/.."
runs=${1:-1000} seed=${2:-7}
target=${CARGO_TARGET_DIR:-$PWD/target}
case $target in /*) ;; *) target=$PWD/$target ;; esac

cargo build -q --release -p handwound-testkit --example trace_hash
cargo build -q -p handwound-testkit --example trace_hash
release=$target/release/examples/trace_hash debug=$target/debug/examples/trace_hash

expected=$("$release" "$seed")
echo "seed $seed: $expected"

# What it is, and the command that should print the same.
same() {
  what=$1
  shift
  printed=$("$@" 2>/dev/null) || printed="exit status $?"
  if [ "$printed" != "$expected" ]; then
    echo "DIFFERS: $what: $printed" >&2
    exit 1
  fi
  echo "same: $what"
}

same "$runs runs in one process" "$release" "$seed" --runs "$runs"
processes=$((runs / 10 + 1))
same "$processes processes" sh -c \
  'i=0; while [ $i -lt '"$processes"' ]; do "$0" "$1"; i=$((i + 1)); done | sort -u' "$release" "$seed"
same "debug" "$debug" "$seed"
same "workers on OS threads" "$release" "$seed" --os-threads
same "with log events" "$release" "$seed" --log
same "with its trace written" "$release" "$seed" --trace
if command -v taskset >/dev/null; then
  same "one core" taskset -c 0 "$release" "$seed"
  same "one core, workers on OS threads" taskset -c 0 "$release" "$seed" --os-threads
  [ "$(nproc)" -lt 2 ] || same "two cores, workers on OS threads" taskset -c 0,1 "$release" "$seed" --os-threads
fi
same "another environment" env -i TZ=Pacific/Auckland LC_ALL=tr_TR.UTF-8 HOME=/nonexistent "$release" "$seed"
same "another folder" sh -c 'cd / && "$0" "$1"' "$release" "$seed"
same "without randomised addresses" setarch "$(uname -m)" -R "$release" "$seed"

# Two processes that take all the time they can get, ended by their numbers.
sh -c 'while :; do :; done' & one=$!
sh -c 'while :; do :; done' & other=$!
trap 'kill "$one" "$other" 2>/dev/null || :' EXIT
same "under load" "$release" "$seed" --runs 20
same "under load, workers on OS threads" "$release" "$seed" --os-threads --runs 5
kill "$one" "$other"
trap - EXIT

for threads in 1 16; do
  same "sixteen tests, $threads at a time" sh -c \
    'TRACE_HASH_SEED="$1" cargo test -q -p handwound-testkit --example trace_hash -- --nocapture --test-threads "$2" |
      sed -n "s/.*trace hash \([0-9a-f]\{16\}\).*/\1/p" | sort -u' sh "$seed" "$threads"
done
echo "seed $seed means the same run everywhere"

#!/usr/bin/env bash
# Fuzzes one target at full speed until it finds something or is stopped; the corpus grows in fuzz/corpus/TARGET. With a
# file, runs that input alone. With --pack, makes fuzz/seeds/TARGET.txt of the corpus: one input for each edge.
#   fuzz/run.sh TARGET [LIBFUZZER-OPTION...]      fuzz/run.sh head -max_total_time=1200
#   fuzz/run.sh TARGET FILE
#   fuzz/run.sh TARGET --pack
set -euo pipefail

target=${1:?which target?}
shift
[ -f "${1:-}" ] && set -- "$(realpath "$1")"
cd "$(dirname "$0")"
options=(-dict=http.dict -timeout=20 -rss_limit_mb=2048)
# shellcheck source=options.sh
source ./options.sh "$target"
options+=("${how_far[@]}")

unset CARGO_TARGET_DIR
packed=$PWD/target/packed
rm -rf "$packed"
cargo run --quiet --example corpus -- unpack "$packed"
mkdir -p "corpus/$target" "$packed/$target"

# No trace of comparisons: twice as fast, and the dictionary has the words.
fuzz() {
  RUSTC_WRAPPER=$PWD/rustc.sh cargo fuzz run --sanitizer none --no-trace-compares --target-dir "$PWD/target/lean" "$@"
}

if [ -f "${1:-}" ]; then
  fuzz "$target" "$1"
elif [ "${1:-}" = --pack ]; then
  rm -rf "$packed/least" && mkdir "$packed/least"
  fuzz "$target" "$packed/least" "corpus/$target" "$packed/$target" -- -merge=1 -use_counters=0 -max_len=256
  cargo run --quiet --example corpus -- pack "$target" "$packed/least"
else
  fuzz "$target" "corpus/$target" "$packed/$target" "seeds/$target" -- "${options[@]}" "$@"
fi

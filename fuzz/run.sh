#!/usr/bin/env bash
# Fuzzes one target at full speed until it finds something or is stopped; the corpus grows in fuzz/corpus/TARGET.
#   fuzz/run.sh TARGET [LIBFUZZER-OPTION...]      fuzz/run.sh head -max_total_time=1200
set -euo pipefail
cd "$(dirname "$0")"

target=${1:?which target?}
shift
max_len=512
[ "$target" = connection ] && max_len=256

unset CARGO_TARGET_DIR
cargo run --quiet --example corpus -- unpack corpus/packed
mkdir -p "corpus/$target" "corpus/packed/$target"
# No trace of comparisons: twice as fast, and the dictionary has the words.
RUSTC_WRAPPER=$PWD/rustc.sh exec cargo fuzz run --sanitizer none --no-trace-compares --target-dir "$PWD/target/lean" \
  "$target" "corpus/$target" "corpus/packed/$target" "seeds/$target" -- \
  -dict=http.dict -max_len="$max_len" -timeout=20 -rss_limit_mb=2048 "$@"

#!/usr/bin/env bash
# Runs every fuzz target for a few seconds, and fails on any finding.
#   fuzz/smoke.sh [SECONDS_PER_TARGET [TARGET...]]
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-5}
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  targets=(head chunked connection response target flood differential)
fi

if ! cargo fuzz --version >/dev/null 2>&1; then
  echo "SKIPPED fuzz smoke: cargo-fuzz is not installed (cargo install cargo-fuzz --locked)"
  exit 0
fi

# Beside the corpora that longer runs have made, and without adding to them.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Whatever the environment says, one folder for all targets.
unset CARGO_TARGET_DIR
export RUST_BACKTRACE=0
cargo run --quiet --manifest-path fuzz/Cargo.toml --example corpus -- unpack "$scratch/packed"
# As fuzz/run.sh does: only the code under test is instrumented.
export RUSTC_WRAPPER=$PWD/fuzz/rustc.sh
how=(--sanitizer none --no-trace-compares --target-dir "$PWD/fuzz/target/lean")
if ! cargo fuzz build "${how[@]}" >"$scratch/build.log" 2>&1; then
  tail -n 60 "$scratch/build.log"
  echo "fuzz smoke: the targets do not build"
  exit 1
fi

failed=()
for target in "${targets[@]}"; do
  # shellcheck source=options.sh
  source fuzz/options.sh "$target"
  mkdir -p "$scratch/$target" "$scratch/packed/$target"
  # The inner bound is the fuzzer's own; the outer one is for a run that hangs past it.
  status=0
  timeout --kill-after=5 $((seconds + 120)) \
    cargo fuzz run "${how[@]}" "$target" "$scratch/$target" "$scratch/packed/$target" "fuzz/seeds/$target" -- \
    -dict=fuzz/http.dict "${how_far[@]}" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
    -print_final_stats=1 -verbosity=1 >"$scratch/$target.log" 2>&1 || status=$?
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$scratch/$target.log" | tail -n 1)
  rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$scratch/$target.log" | tail -n 1)
  printf '%-12s %10s executions, %7s a second\n' "$target" "${executions:-?}" "${rate:-?}"
  if [ "$status" -ne 0 ]; then
    failed+=("$target")
    # From the message on: what was violated, the input, and how to run it again.
    sed -n '/panicked at\|ERROR: libFuzzer/,$p' "$scratch/$target.log" | cut -c -400 | head -n 60
  fi
done

if [ ${#failed[@]} -ne 0 ]; then
  echo "fuzz smoke: findings in ${failed[*]}"
  exit 1
fi

#!/usr/bin/env bash
# Shows that the fuzz targets catch every seeded defect (fuzz/defects/parser.txt) within a budget, and that they find
# nothing while none is on. Prints a table: which target caught it, after how many executions from the seeds, and after
# how many from nothing but the dictionary.
#   fuzz/defects.sh [EXECUTIONS [NAME...]]
# EXECUTIONS is the budget of each target for each defect, 200000 by default. Fails if a defect gets through.
set -euo pipefail
cd "$(dirname "$0")"

budget=${1:-200000}
shift || true
only=" $* "
seed=1
# The cheap ones first.
targets=(head chunked target response flood differential connection)

here=$PWD
copy=$here/target/defects
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
unset CARGO_TARGET_DIR
cargo run --quiet --example seed_defects -- "$copy" >"$scratch/defects"
cargo run --quiet --example corpus -- unpack "$scratch/packed"
# No trace of comparisons: twice as fast, and the dictionary has the words.
if ! (cd "$copy/fuzz" && RUSTC_WRAPPER=$here/rustc.sh cargo fuzz build --sanitizer none --no-trace-compares \
  --target-dir "$copy/fuzz/target") >"$scratch/build.log" 2>&1; then
  tail -n 60 "$scratch/build.log"
  exit 1
fi
programs=$(dirname "$(find "$copy/fuzz/target" -path '*/release/head' -type f | head -n 1)")

# hunt DEFECT TARGET RUNS FOLDER...: the executions that a finding took; fails if there is none.
hunt() {
  local defect=$1 target=$2 runs=$3 status=0
  shift 3
  rm -rf "$scratch/grown" && mkdir "$scratch/grown"
  # Without randomised addresses, the same run every time.
  DEFECT=$defect RUST_BACKTRACE=0 setarch -R timeout 600 "$programs/$target" "$scratch/grown" "$@" -seed=$seed \
    -runs="$runs" -dict=http.dict -max_len=512 -timeout=20 -artifact_prefix="$scratch/" -print_final_stats=1 \
    -verbosity=1 >"$scratch/log" 2>&1 || status=$?
  [ "$status" -ne 0 ] || return 1
  sed -n 's/^stat::number_of_executed_units: *//p' "$scratch/log" | tail -n 1
}

missed=()
for target in "${targets[@]}"; do
  mkdir -p "$scratch/packed/$target"
  if [ "$only" = "  " ] && hunt 0 "$target" $((budget / 10)) "$scratch/packed/$target" "$copy/fuzz/seeds/$target" >/dev/null; then
    echo "$target finds something although no defect is on:"
    grep -A3 'panicked at' "$scratch/log" || tail "$scratch/log"
    exit 1
  fi
done
printf '| defect | what is wrong | caught by | executions | from nothing |\n|---|---|---|---|---|\n'
while IFS=$'\t' read -r number name what; do
  [ "$only" = "  " ] || [[ "$only" == *" $name "* ]] || continue
  caught=
  # A little of each target, then more: the same runs again, only longer.
  for part in 40 4 1; do
    for target in "${targets[@]}"; do
      # A whole server costs ten times as much as a parser.
      [ "$target" != connection ] || [ "$part" = 1 ] || continue
      if executions=$(hunt "$number" "$target" $((budget / part)) "$scratch/packed/$target" "$copy/fuzz/seeds/$target"); then
        caught=$target
        break 2
      fi
    done
  done
  if [ -z "$caught" ]; then
    missed+=("$name")
    printf '| %s | %s | **nothing** | | |\n' "$name" "$what"
    continue
  fi
  blind=$(hunt "$number" "$caught" "$budget") || blind="more than $budget"
  printf '| %s | %s | `%s` | %s | %s |\n' "$name" "$what" "$caught" "$executions" "$blind"
done <"$scratch/defects"

if [ ${#missed[@]} -ne 0 ]; then
  echo "not caught: ${missed[*]}"
  exit 1
fi

#!/usr/bin/env bash
# A RUSTC_WRAPPER: leaves the fuzzer's instrumentation out of everything but the code under test. The judges, the
# simulation and the standard crates would only tell the fuzzer what it does not have to know, at half its speed.
set -euo pipefail

crate=
previous=
for argument in "$@"; do
  [ "$previous" = --crate-name ] && crate=$argument
  previous=$argument
done
case $crate in
  handwound_wsgi | handwound_reactor | httparse) drop=-sanitizer-coverage-stack-depth ;;
  *) drop='-sanitizer-coverage-*' ;;
esac

kept=()
for argument in "$@"; do
  # shellcheck disable=SC2053
  if [[ $argument == -Cllvm-args=$drop || ($drop == *'*' && $argument == -Cpasses=sancov-module) ]]; then
    continue
  elif [[ $argument == llvm-args=$drop || ($drop == *'*' && $argument == passes=sancov-module) ]]; then
    # It came as two words.
    unset 'kept[-1]'
    continue
  fi
  kept+=("$argument")
done
exec "${kept[@]}"

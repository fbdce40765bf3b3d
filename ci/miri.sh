#!/usr/bin/env bash
# make miri: the single-process tests of the core crates under miri, where there is one.
. "$(dirname "$0")/lib.sh"
say "miri"
if ! cargo miri --version >/dev/null 2>&1; then
    echo "miri was NOT run: this toolchain has no cargo miri (rustup +nightly component add miri)"
    exit 0
fi
# Clocks, and the backtraces of tests that panic on purpose, need more than an isolated program has.
export MIRIFLAGS="${MIRIFLAGS:-} -Zmiri-disable-isolation"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}/miri
cargo miri test --quiet -p manyhands-sys -p manyhands-watch -p manyhands-sync -p manyhands-queue --lib --tests

#!/usr/bin/env bash
# The cheap gates: format and lints of Rust and Python.
. "$(dirname "$0")/lib.sh"
dir=$(venv "$PYTHON")
tools "$dir"

say "rustfmt"
cargo fmt --all -- --check
say "ruff"
"$dir/bin/ruff" format --check --quiet .
"$dir/bin/ruff" check --quiet .
say "clippy"
PYO3_PYTHON=$dir/bin/python cargo clippy --quiet --workspace --all-targets -- -D warnings
say "clippy for a free-threaded Python 3.14"
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}/free-threaded PYO3_CONFIG_FILE=$ROOT/ci/pyo3-3.14t.txt \
    cargo clippy --quiet -p manyhands-py -- -D warnings

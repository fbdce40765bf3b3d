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

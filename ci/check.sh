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
say "clippy for aarch64"
# Without TLS and SSH, for which a C compiler for aarch64 would be needed; so do the tests of who speaks it.
check_aarch64() {
    cargo clippy --quiet --target "$aarch64" --workspace --exclude manyhands-manager --exclude manyhands-ssh \
        --exclude manyhands-sshkeys --all-targets --no-default-features -- -D warnings
    cargo clippy --quiet --target "$aarch64" -p manyhands-manager --no-default-features -- -D warnings
}
aarch64=aarch64-unknown-linux-gnu
if rustup target add "$aarch64" >/dev/null 2>&1; then
    CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}/aarch64 PYO3_CONFIG_FILE=$ROOT/ci/pyo3-3.14t.txt \
        check_aarch64
else
    echo "aarch64 was NOT checked: there is no rustup, or it cannot get the target"
fi

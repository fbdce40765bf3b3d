#!/usr/bin/env bash
# Tests, doc examples and documentation of the Rust crates.
. "$(dirname "$0")/lib.sh"
say "cargo test"
cargo test --quiet --workspace --exclude manyhands-py
cargo run --quiet --example steamed_buns -p manyhands >/dev/null
say "cargo doc"
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --workspace --exclude manyhands-py

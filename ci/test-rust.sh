#!/usr/bin/env bash
# Tests, doc examples and documentation of the Rust crates.
. "$(dirname "$0")/lib.sh"
ssh_server
say "cargo test"
cargo test --quiet --workspace --exclude manyhands-py
say "examples"
for example in steamed_buns ticket_office pipe pool; do
    cargo run --quiet --example "$example" -p manyhands >/dev/null
done
say "cargo doc"
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --workspace --exclude manyhands-py

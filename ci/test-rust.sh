#!/usr/bin/env bash
# Tests, doc examples and documentation of the Rust crates.
. "$(dirname "$0")/lib.sh"
# The tests of manyhands-ssh start an OpenSSH server of their own.
if [ ! -x /usr/sbin/sshd ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "openssh-server"
    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y openssh-server >/dev/null
fi
say "cargo test"
cargo test --quiet --workspace --exclude manyhands-py
say "examples"
for example in steamed_buns ticket_office pipe pool; do
    cargo run --quiet --example "$example" -p manyhands >/dev/null
done
say "cargo doc"
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --workspace --exclude manyhands-py

#!/usr/bin/env bash
# make loom: all interleavings of the models of locks and queues.
. "$(dirname "$0")/lib.sh"
say "loom models"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}/loom RUSTFLAGS="--cfg loom"
cargo test --quiet --profile quick -p manyhands-sync -p manyhands-queue -p manyhands-shm -p manyhands-pool -p manyhands-trace --test loom

#!/usr/bin/env bash
# make kill: processes die at every step of what they do, then at random moments for a minute
# (MANYHANDS_KILL_SECONDS; hours, if you like).
. "$(dirname "$0")/lib.sh"
seconds=${MANYHANDS_KILL_SECONDS:-60}
say "a death at every step, and one at every step of its repair"
cargo test --quiet --profile quick -p manyhands-shm --features steps --test die_at_step
say "deaths at random moments, for $seconds s"
MANYHANDS_KILL_SECONDS=$seconds cargo test --quiet --profile quick -p manyhands-shm --test kill -- --nocapture

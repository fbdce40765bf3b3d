#!/usr/bin/env bash
# make kill: processes die at every step of what they do, then at random moments, a minute each of
# those with locks, of Rust's and of Python's (MANYHANDS_KILL_SECONDS; hours, if you like).
. "$(dirname "$0")/lib.sh"
export MANYHANDS_KILL_SECONDS=${MANYHANDS_KILL_SECONDS:-60}
say "a death at every step, and one at every step of its repair"
cargo test --quiet --profile quick -p manyhands-shm --features steps --test die_at_step --test reach
cargo test --quiet --profile quick -p manyhands-pool --features steps --test deaths
say "a death at every instruction of locks and the like, and at random moments"
cargo test --quiet --profile quick -p manyhands-shm --test sync -- steps kills
say "deaths at random moments, for $MANYHANDS_KILL_SECONDS s"
cargo test --quiet --profile quick -p manyhands-shm --test kill -- --nocapture
MANYHANDS_KILL_SECONDS=$((MANYHANDS_KILL_SECONDS / 3)) \
    cargo test --quiet --profile quick -p manyhands --test pool -- killed_at_random
say "the same of Python's processes and zygotes"
dir=$(install "$PYTHON")
tools "$dir"
"$dir/bin/python" -m pytest -q -s -p no:cacheprovider tests/stress/test_kill.py

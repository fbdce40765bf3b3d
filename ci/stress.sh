#!/usr/bin/env bash
# make stress: random operations for an hour (MANYHANDS_STRESS_SECONDS).
. "$(dirname "$0")/lib.sh"
dir=$(install "$PYTHON")
tools "$dir"
export MANYHANDS_STRESS_SECONDS=${MANYHANDS_STRESS_SECONDS:-3600}
cargo test --quiet --release -p manyhands-queue -p manyhands-sync --test stress
"$dir/bin/python" -m pytest -q -p no:cacheprovider tests/stress

#!/usr/bin/env bash
# make soak: pools are used by several threads while their workers are killed, stopped, and end by
# themselves, for an hour (MANYHANDS_SOAK_SECONDS).
. "$(dirname "$0")/lib.sh"
dir=$(install "$PYTHON")
tools "$dir"
export MANYHANDS_SOAK_SECONDS=${MANYHANDS_SOAK_SECONDS:-3600}
"$dir/bin/python" -m pytest -q -s -p no:cacheprovider tests/stress/test_soak.py

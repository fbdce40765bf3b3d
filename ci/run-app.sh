#!/usr/bin/env bash
# make run: installs the engine if need be and runs a program on it.
. "$(dirname "$0")/lib.sh"
dir=$(install "$PYTHON")
exec "$dir/bin/manyhands" run --engine "$@"

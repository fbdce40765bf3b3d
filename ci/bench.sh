#!/usr/bin/env bash
# make bench [ONLY=...]: side by side with the standard library, in one interleaved run.
. "$(dirname "$0")/lib.sh"
dir=$(install "$PYTHON")
"$dir/bin/pip" install --quiet -r bench/requirements.txt
exec "$dir/bin/python" -m bench ${1:+--only "$1"}

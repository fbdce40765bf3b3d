#!/usr/bin/env bash
# test-cpython.sh [INTERPRETER [OPTION...]]: CPython's own tests, on the installed wheel, from an empty
# directory; tests/cpython/run.py --help tells the options.
. "$(dirname "$0")/lib.sh"
python=${1:-$PYTHON}
shift || true
dir=$(install "$python")
empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
cd "$empty"

say "CPython's own tests on Python $(version_of "$python")"
"$dir/bin/python" "$ROOT/tests/cpython/run.py" --jobs 2 --python "$dir/bin/python" "$@"

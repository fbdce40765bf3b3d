#!/usr/bin/env bash
# test-python.sh [INTERPRETER]: the Python tests and CPython's own, on the installed wheel, from an
# empty directory.
. "$(dirname "$0")/lib.sh"
python=${1:-$PYTHON}
dir=$(install "$python")
tools "$dir"
version=$(version_of "$python")
empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
cd "$empty"

say "pytest on Python $version"
"$dir/bin/python" -m pytest -q -p no:cacheprovider -c "$ROOT/pyproject.toml" --rootdir "$ROOT" "$ROOT/tests"
say "CPython's own tests on Python $version"
"$dir/bin/python" "$ROOT/tests/cpython/run.py" --python "$dir/bin/python"

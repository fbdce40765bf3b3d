#!/usr/bin/env bash
# test-python.sh [INTERPRETER [brief]]: the Python tests and CPython's own, on the installed wheel,
# from an empty directory. Brief is without stress, random kills, trials, and CPython's own.
. "$(dirname "$0")/lib.sh"
python=${1:-$PYTHON}
brief=${2:-}
dir=$(install "$python")
tools "$dir"
version=$(version_of "$python")
empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
cd "$empty"

say "pytest on Python $version"
"$dir/bin/python" -m pytest -q -p no:cacheprovider -c "$ROOT/pyproject.toml" --rootdir "$ROOT" "$ROOT/tests" \
    ${brief:+--ignore "$ROOT/tests/stress" --ignore "$ROOT/tests/cpython" --ignore-glob "*/test_trials_*" --ignore-glob "*_random.py"}
[ -z "$brief" ] || exit 0
say "CPython's own tests on Python $version"
"$dir/bin/python" "$ROOT/tests/cpython/run.py" --jobs 2 --python "$dir/bin/python"

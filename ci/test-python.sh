#!/usr/bin/env bash
# test-python.sh [INTERPRETER [brief]]: the Python tests, on the installed wheel, from an empty
# directory. Brief is without stress, random kills, and trials.
. "$(dirname "$0")/lib.sh"
python=${1:-$PYTHON}
brief=${2:-}
dir=$(install "$python")
tools "$dir"
[ -n "$brief" ] || tools "$dir" ci/requirements-trials.txt
empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
cd "$empty"

say "pytest on Python $(version_of "$python")"
"$dir/bin/python" -m pytest -q -p no:cacheprovider -c "$ROOT/pyproject.toml" --rootdir "$ROOT" "$ROOT/tests" \
    ${brief:+--ignore "$ROOT/tests/stress" --ignore "$ROOT/tests/cpython" --ignore-glob "*/test_trials_*" --ignore-glob "*_random.py"}

#!/usr/bin/env bash
# test-python.sh [INTERPRETER [all|whole|brief|runner]]: the Python tests, on the installed wheel, from
# an empty directory. Whole is without the tests of the runner of CPython's own tests, which `runner`
# is; brief is also without stress, random kills, and trials.
. "$(dirname "$0")/lib.sh"
python=${1:-$PYTHON}
what=${2:-all}
dir=$(install "$python")
tools "$dir"
empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT

tests=$ROOT/tests
left_out=(--ignore "$ROOT/tests/cpython")
case $what in
all) left_out=() ;;
runner) tests=$ROOT/tests/cpython left_out=() ;;
brief) left_out+=(--ignore "$ROOT/tests/stress" --ignore-glob "$ROOT/tests/*/test_trials_*" --ignore-glob "$ROOT/tests/*_random.py") ;;
whole) ;;
*) fail "test-python.sh knows no $what" ;;
esac
[ "$what" = brief ] || [ "$what" = runner ] || tools "$dir" ci/requirements-trials.txt

cd "$empty"
say "pytest on Python $(version_of "$python"), $what"
"$dir/bin/python" -m pytest -q -p no:cacheprovider -c "$ROOT/pyproject.toml" --rootdir "$ROOT" "$tests" "${left_out[@]}"

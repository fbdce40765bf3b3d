#!/usr/bin/env bash
# test-python.sh [INTERPRETER [all|processes|rest|brief]]: the Python tests, on the installed wheel, from
# an empty directory. Processes are those between processes, which take longest, rest all others; brief
# is all without stress, random kills, trials, and the runner of CPython's own tests.
. "$(dirname "$0")/lib.sh"
python=${1:-$PYTHON}
what=${2:-all}
dir=$(install "$python")
tools "$dir"
ssh_server >&2
if [ "$what" != processes ]; then browser >&2; fi
empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT

tests=("$ROOT/tests")
case $what in
all) ;;
processes) tests=("$ROOT/tests/multiprocessing" "$ROOT/tests/stress") ;;
rest) tests+=(--ignore "$ROOT/tests/multiprocessing" --ignore "$ROOT/tests/stress") ;;
brief)
    tests+=(--ignore "$ROOT/tests/stress" --ignore "$ROOT/tests/cpython"
        --ignore-glob "$ROOT/tests/*/test_trials_*" --ignore-glob "$ROOT/tests/*_random.py")
    ;;
*) fail "test-python.sh knows no $what" ;;
esac
if [ "$what" != brief ]; then
    tools "$dir" ci/requirements-trials.txt
    tools "$dir" ci/requirements-trials-gevent.txt
    tools "$dir" ci/requirements-trials-paramiko.txt
fi

cd "$empty"
say "pytest on Python $(version_of "$python"), $what"
"$dir/bin/python" -m pytest -q -p no:cacheprovider -c "$ROOT/pyproject.toml" --rootdir "$ROOT" "${tests[@]}"

#!/usr/bin/env bash
# test-gevent.sh [INTERPRETER [OPTION...]]: gevent's own tests, then CPython's under patch_all(), on the
# installed wheel, from an empty directory; tests/gevent/run.py --help tells the options, with which only
# gevent's are run.
. "$(dirname "$0")/lib.sh"
python=${1:-$PYTHON}
shift || true
dir=$(install "$python")
version=$(version_of "$python")

# gevent lies beside the environment, not in it, so that nobody meets it by chance.
wheel=$BUILD/gevent-$version
pinned=ci/requirements-gevent.txt
if ! cmp -s "$pinned" "$wheel/.requirements"; then
    rm -rf "$wheel"
    "$dir/bin/pip" install --quiet --only-binary :all: --no-deps --target "$wheel" -r "$pinned"
    cp "$pinned" "$wheel/.requirements"
fi
empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
cd "$empty"

run() {
    "$dir/bin/python" "$ROOT/tests/gevent/run.py" \
        --jobs 2 --python "$dir/bin/python" --wheel "$wheel" "$@" || status=$?
}
status=0
say "gevent's own tests on Python $version"
run "$@"
if [ $# = 0 ]; then
    say "CPython's own tests under gevent's patches on Python $version"
    run --patched
fi
exit "$status"

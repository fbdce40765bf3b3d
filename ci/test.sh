#!/usr/bin/env bash
# make test: all that has to pass, cheap gates first. Interpreters that are not the default one are
# tested briefly, unless MANYHANDS_TEST_ALL is set.
. "$(dirname "$0")/lib.sh"
ci/check.sh
ci/types.sh
ci/test-rust.sh
ci/loom.sh
ci/kill.sh
ci/miri.sh

# Tests mostly wait, so two go side by side: the default interpreter's, and all others.
# One that is often installed with CPython's tests of concurrent.futures.
FUTURES_OF=3.13
others() {
    ci/test-cpython.sh
    for python in $(other_pythons); do
        if [ -z "${MANYHANDS_TEST_ALL:-}" ]; then
            ci/test-python.sh "$python" brief
            [ "$(version_of "$python")" != "$FUTURES_OF" ] ||
                ci/test-cpython.sh "$python" --tests test.test_concurrent_futures
        else
            ci/test-python.sh "$python"
            ci/test-cpython.sh "$python"
        fi
    done
}
export MANYHANDS_TEST_PATIENCE=${MANYHANDS_TEST_PATIENCE:-120}
for python in $(other_pythons); do
    tools "$(install "$python")"
done
set -m
(set -e; others) </dev/null >"$BUILD/others.log" 2>&1 &
others=$!
set +m
trap 'kill -- -$others 2>/dev/null || true' EXIT
status=0
ci/test-python.sh || status=$?
wait $others || status=$?
trap - EXIT
cat "$BUILD/others.log"
[ "$status" = 0 ] || fail "some tests failed, see above"
say "all tests passed"

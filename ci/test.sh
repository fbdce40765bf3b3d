#!/usr/bin/env bash
# make test: all that has to pass, cheap gates first. Interpreters that are not the default one are
# tested briefly, the newest first, as long as there is time (MANYHANDS_TEST_MINUTES since the start for
# the last to begin); with MANYHANDS_TEST_ALL whole, however long it takes.
. "$(dirname "$0")/lib.sh"
MINUTES=${MANYHANDS_TEST_MINUTES:-30}
# One that is often installed with CPython's tests of concurrent.futures.
FUTURES_OF=3.13

has_time() { [ -n "${MANYHANDS_TEST_ALL:-}" ] || [ "$SECONDS" -lt "$((MINUTES * 60))" ]; }

others() {
    ci/test-cpython.sh
    ci/test-gevent.sh
    ci/test-paramiko.sh
    ci/test-python.sh "$PYTHON" rest
    for python in $(other_pythons | tac); do
        if ! has_time; then
            say "no time is left for Python $(version_of "$python"): make test-all"
        elif [ -n "${MANYHANDS_TEST_ALL:-}" ]; then
            ci/test-python.sh "$python"
            ci/test-cpython.sh "$python"
            ci/test-gevent.sh "$python"
            ci/test-paramiko.sh "$python"
        else
            ci/test-python.sh "$python" brief
            if [ "$(version_of "$python")" = "$FUTURES_OF" ] && has_time; then
                ci/test-cpython.sh "$python" --tests test.test_concurrent_futures
            fi
        fi
    done
}

ci/check.sh
ci/types.sh
ci/test-rust.sh
ci/loom.sh
ci/kill.sh
ci/miri.sh

# Tests wait as long as they work, so two go side by side. Those between processes of the default
# interpreter take longest, and come first.
export MANYHANDS_TEST_PATIENCE=${MANYHANDS_TEST_PATIENCE:-120}
for file in ci/requirements-trials{,-gevent,-paramiko}.txt; do
    tools "$(install "$PYTHON")" "$file"
done
set -m
(renice -n 5 -p "$BASHPID" >/dev/null; others) </dev/null >"$BUILD/others.log" 2>&1 &
others=$!
set +m
trap 'kill -- -$others 2>/dev/null || true' EXIT
status=0
ci/test-python.sh "$PYTHON" processes || status=$?
wait $others || status=$?
trap - EXIT
cat "$BUILD/others.log"
[ "$status" = 0 ] || fail "some tests failed, see above"
say "all tests passed"

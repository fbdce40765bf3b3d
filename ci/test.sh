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
ci/test-python.sh
for python in $(other_pythons); do
    ci/test-python.sh "$python" ${MANYHANDS_TEST_ALL-brief}
done
say "all tests passed"

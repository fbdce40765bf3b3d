#!/usr/bin/env bash
# make test: all that has to pass, cheap gates first.
. "$(dirname "$0")/lib.sh"
ci/check.sh
ci/types.sh
ci/test-rust.sh
ci/loom.sh
ci/kill.sh
ci/miri.sh
ci/test-python.sh
for python in $(other_pythons); do
    ci/test-python.sh "$python"
done
say "all tests passed"

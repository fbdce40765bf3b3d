#!/usr/bin/env bash
# make test-all: make test, whole on every interpreter, with longer stress.
export MANYHANDS_TEST_ALL=1
export MANYHANDS_STRESS_SECONDS=${MANYHANDS_STRESS_SECONDS:-300}
exec "$(dirname "$0")/test.sh"

# The commands of this project. Each is a few lines; the work is in ci/.
#
#   make run                 set up, and run an example on the engine
#   make run APP=app.py      set up, and run a program of yours on the engine
#   make test                everything that has to pass; CPythons beside the default one only briefly
#   make test-all            the same whole on every CPython of this machine, with longer stress
#   make bench               compare with the standard library (ONLY=queue for a part)
#   make check               only the cheap gates: format, lints
#
# PYTHON chooses the interpreter: make test PYTHON=python3.13

PYTHON ?= python3
APP ?= examples/steamed_buns.py
export PYTHON

.PHONY: run test test-all bench check kill loom miri soak stress clean

run:
	@ci/run-app.sh $(APP) $(ARGS)

test:
	@ci/test.sh

test-all:
	@ci/test-all.sh

bench:
	@ci/bench.sh $(ONLY)

check:
	@ci/check.sh

kill:
	@ci/kill.sh

loom:
	@ci/loom.sh

miri:
	@ci/miri.sh

soak:
	@ci/soak.sh

stress:
	@ci/stress.sh

clean:
	rm -rf build target

#!/usr/bin/env bash
# Types of the Python tree: mypy on the sources, stubtest on what is installed.
. "$(dirname "$0")/lib.sh"
dir=$(install "$PYTHON")
tools "$dir"

say "mypy"
"$dir/bin/mypy" --no-error-summary
say "stubtest"
allow=()
[ -e python/stubtest-allowlist.txt ] && allow=(--allowlist "$ROOT/python/stubtest-allowlist.txt")
(cd "$(mktemp -d)" && "$dir/bin/python" -m mypy.stubtest --mypy-config-file "$ROOT/pyproject.toml" "${allow[@]}" manyhands)

#!/usr/bin/env bash
# test-paramiko.sh [INTERPRETER [OPTION...]]: paramiko's own tests on the installed wheel, from an empty
# directory; tests/paramiko/run.py --help tells the options.
. "$(dirname "$0")/lib.sh"
python=${1:-$PYTHON}
shift || true
dir=$(install "$python")
tools "$dir"
version=$(version_of "$python")

# What they need lies beside the environment, as pytest-relaxed changes how pytest collects.
beside=$BUILD/paramiko-$version
pinned=ci/requirements-paramiko.txt
if ! cmp -s "$pinned" "$beside/.requirements"; then
    rm -rf "$beside"
    "$dir/bin/pip" install --quiet --only-binary :all: --no-deps --target "$beside" -r "$pinned"
    "$dir/bin/pip" download --quiet --no-binary :all: --no-deps --dest "$beside" paramiko==5.1.0
    cp "$pinned" "$beside/.requirements"
fi
empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
cd "$empty"

say "paramiko's own tests on Python $version"
PYTHONPATH=$beside "$dir/bin/python" "$ROOT/tests/paramiko/run.py" \
    --python "$dir/bin/python" --sdist "$beside/paramiko-5.1.0.tar.gz" "$@"

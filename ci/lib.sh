# Sourced by the scripts beside it.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
BUILD=$ROOT/build
PYTHON=${PYTHON:-python3}
mkdir -p "$BUILD"

say() { printf '\n== %s\n' "$*"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])'; }

# The file of an interpreter, past any launcher that depends on the current directory.
real_python() { "$1" -c 'import sys; print(getattr(sys, "_base_executable", None) or sys.executable)'; }

# Prints the virtual environment of an interpreter, made if it is not there yet.
venv() {
    local python version dir
    python=$(real_python "$1") || fail "$1 is not a Python interpreter"
    version=$(version_of "$python")
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10) or sys.implementation.name != "cpython")' ||
        fail "$1 is Python $version; CPython 3.10 or newer is needed (make ... PYTHON=python3.12)"
    dir=$BUILD/venv-$version
    if [ ! -x "$dir/bin/pip" ]; then
        "$python" -m venv --clear "$dir" >&2 ||
            fail "$1 cannot make virtual environments (on Debian: apt-get install python3-venv)"
    fi
    printf '%s\n' "$dir"
}

# Builds the wheel for an interpreter and installs it, if the sources changed since.
install() {
    local dir stamp
    dir=$(venv "$1")
    stamp=$dir/.manyhands-installed
    if [ ! -e "$stamp" ] || [ -n "$(find Cargo.toml Cargo.lock pyproject.toml crates python -newer "$stamp" -type f -print -quit)" ]; then
        command -v cargo >/dev/null || fail "no cargo: install a Rust toolchain (https://rustup.rs)"
        say "build and install for Python $(version_of "$1")" >&2
        touch "$stamp.new"
        "$dir/bin/pip" install --quiet --force-reinstall --no-deps . >&2
        "$dir/bin/pip" install --quiet "cloudpickle>=3" "greenlet>=3.5" >&2
        mv "$stamp.new" "$stamp"
    fi
    printf '%s\n' "$dir"
}

# Installs development tools into a virtual environment: those of a file (ci/requirements.txt).
tools() {
    local dir=$1 file=${2:-ci/requirements.txt}
    local stamp=$dir/.tools-${file##*/}
    if [ ! -e "$stamp" ] || [ "$file" -nt "$stamp" ]; then
        "$dir/bin/pip" install --quiet -r "$file" >&2
        touch "$stamp"
    fi
}

# Installs the OpenSSH server that tests start for themselves, where that is possible.
ssh_server() {
    if [ ! -x /usr/sbin/sshd ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "openssh-server"
        apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y openssh-server >/dev/null
    fi
}

# Chromium, in which tests look at the pages that are made; without it they are left out.
browser() {
    if ! command -v chromium >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "chromium"
        apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y chromium >/dev/null || true
    fi
}

# Prints the interpreters of this machine that are supported, one for each version, but not the
# default one.
other_pythons() {
    local default minor candidate
    default=$(version_of "$PYTHON")
    for minor in 10 11 12 13 14; do
        [ "3.$minor" = "$default" ] && continue
        for candidate in "python3.$minor" "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.$minor."*/bin/python3; do
            if "$candidate" -c 'import sys' 2>/dev/null; then
                real_python "$candidate"
                break
            fi
        done
    done
}

#!/bin/sh
# Makes .venv/ with the locked dependencies and `bridge` in its bin/. Run by `make setup`.
set -eu

python=${PYTHON:-python3}

die() { printf 'setup: %s\n' "$1" >&2; exit 1; }

command -v "$python" >/dev/null || die "no $python here; install Python 3.11 or newer, or set PYTHON="
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
    || die "$($python --version) is too old; Python 3.11 or newer is needed (set PYTHON= to another one)"

# Debian's Python comes without the part that puts pip into a virtual environment.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    printf 'setup: installing python3-venv\n'
    if [ "$(id -u)" = 0 ]; then as_root=; else as_root=sudo; fi
    { $as_root apt-get update -qq && $as_root apt-get install -y -qq python3-venv; } >/dev/null \
        || die "python3-venv is missing and could not be installed; install it and run make again"
fi

printf 'setup: making .venv with the locked dependencies\n'
"$python" -m venv --clear .venv
.venv/bin/pip install --quiet --quiet --disable-pip-version-check --require-hashes -r requirements.lock
.venv/bin/pip install --quiet --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .

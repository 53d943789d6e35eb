# Makes the checkout's own virtual environment: sourced by the scripts beside it, never run by itself.
#
# After `prepare runtime` or `prepare dev`, $root/.venv holds the package (editable) and what it needs, at the versions
# and hashes of constraints.txt. A stamp makes every later call cost one hash of two small files.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/.venv

say() { printf '%s\n' "$*" >&2; }

# Prints the first interpreter that really runs and is new enough; a version manager's shim may exist and still fail.
find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

make_venv() {
    local python
    if [ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        return 0
    fi
    if python=$(find_python); then
        if command -v uv >/dev/null 2>&1; then
            uv venv --quiet --clear --python "$python" "$venv"
        else
            "$python" -m venv --clear "$venv"
        fi
    elif command -v uv >/dev/null 2>&1; then
        uv venv --quiet --clear --python '>=3.11' "$venv" # uv brings an interpreter where the machine has none
    else
        say "CPython 3.11 or newer is needed. Install it, or say where it is: PYTHON=/path/to/python $0"
        return 1
    fi
}

# Hashes in a constraints file make pip ask for the hash of everything it installs, which an editable package can't
# have. So the requirements go in by name, checked, and the package afterwards without its dependencies.
install_into_venv() {
    if command -v uv >/dev/null 2>&1; then
        VIRTUAL_ENV=$venv uv pip install --quiet "$@"
    else
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
    fi
}

make_pip() {
    command -v uv >/dev/null 2>&1 && return 0
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip >/dev/null
    # Older ones don't take the pins of a hashed constraints file for names.
    "$venv/bin/python" -c 'import pip, sys; sys.exit(tuple(map(int, pip.__version__.split(".")[:2])) < (25, 1))' ||
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
}

fingerprint() {
    "$venv/bin/python" - "$root" <<'PY'
import hashlib, pathlib, sys
root = pathlib.Path(sys.argv[1])
told = [sys.version, str(root), *((root / name).read_text() for name in ("pyproject.toml", "constraints.txt"))]
print(hashlib.sha256("\0".join(told).encode()).hexdigest())
PY
}

# One requirement a line: those of the build, of the package and, for dev, of its development group.
requirements() {
    "$venv/bin/python" - "$root/pyproject.toml" "$1" <<'PY'
import sys, tomllib
with open(sys.argv[1], "rb") as file:
    project = tomllib.load(file)
wanted = [*project["build-system"]["requires"], "editables", *project["project"]["dependencies"]]
if sys.argv[2] == "dev":
    wanted += project["dependency-groups"]["dev"]
print(*wanted, sep="\n")
PY
}

prepare() {
    local kind=$1 print stamp list
    make_venv
    print=$(fingerprint)
    for stamp in "$venv/.installed-$kind" "$venv/.installed-dev"; do
        if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$print" ]; then
            return 0
        fi
    done
    say "Setting up .venv ($kind) …"
    rm -f "$venv/.installed-runtime" "$venv/.installed-dev"
    make_pip
    list=$(mktemp)
    requirements "$kind" >"$list"
    if ! install_into_venv --constraint "$root/constraints.txt" --requirement "$list"; then
        rm -f "$list"
        return 1
    fi
    rm -f "$list"
    install_into_venv --no-deps --no-build-isolation --editable "$root"
    printf '%s\n' "$print" >"$venv/.installed-$kind"
}

# A browser for the tests of the pages, where this user may install one; elsewhere those tests skip and say so.
prepare_browser() {
    if [ -n "${CHROMIUM:-}" ] || command -v chromium >/dev/null 2>&1; then return 0; fi
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then return 0; fi
    say "Installing chromium for the tests of the pages …"
    apt-get update -qq >/dev/null &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null 2>&1 ||
        say "chromium could not be installed; the tests that need it are skipped"
}

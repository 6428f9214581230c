# Sourced by ./lab and ./test, with `root` set: makes .venv, whatever is missing of it.
# shellcheck shell=sh

make_environment() {
    for python in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            "$python" "$root/tools/environment.py" "$@" >&2 || exit 1
            return
        fi
    done
    if command -v python3 >/dev/null; then
        echo "zajil: Python 3.11 or newer is needed; python3 is $(python3 -V 2>&1)" >&2
    else
        echo "zajil: Python 3.11 or newer is needed; there is no python3" >&2
    fi
    exit 1
}

#!/usr/bin/env bash
# Makes the virtual environment that every make target uses, outside the checkout; prints its path. Quick when it is there.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hostler

find_python() { # the first that is 3.12 or newer, on PATH, from pyenv, or below /opt
  local candidate
  for candidate in python3.14 python3.13 python3.12 python3 "$HOME"/.pyenv/versions/3.1[2-9]*/bin/python3 \
    /opt/python*/bin/python3 /usr/local/bin/python3.1[2-9]; do
    candidate=$(command -v "$candidate" 2>/dev/null) || continue
    "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' 2>/dev/null || continue
    echo "$candidate"
    return
  done
  echo "hostler needs Python 3.12 or newer with venv; none was found on PATH or below ~/.pyenv" >&2
  exit 1
}

python=$(find_python)
key=$(cat "$top/requirements.lock" "$top/pyproject.toml" <("$python" -c 'import sys; print(sys.version, sys.base_prefix)') <(echo "$top") | sha256sum | cut -c1-16)
venv=$cache/venv-$key
mkdir -p "$cache"
exec 9> "$cache/setup.lock" # two at once would take each other's folder away
flock 9
if [ ! -f "$venv/.ready" ]; then
  echo "setting up $venv" >&2
  rm -rf "$venv"
  "$python" -m venv "$venv"
  # uv alone first, by the hash that the lock gives; then everything else by it
  sed -n '/^uv==/,/^    # via/p' "$top/requirements.lock" | grep -v '#' > "$venv/uv.lock"
  "$venv/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r "$venv/uv.lock"
  UV_LINK_MODE=copy "$venv/bin/uv" pip install -q --compile-bytecode -p "$venv/bin/python" --require-hashes -r "$top/requirements.lock"
  "$venv/bin/uv" pip install -q -p "$venv/bin/python" --no-deps --no-build-isolation -e "$top"
  touch "$venv/.ready"
fi
echo "$venv"

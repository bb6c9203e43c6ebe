#!/usr/bin/env bash
# Builds the wheel, installs it into an environment of its own outside the checkout, and runs it from there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=$(tools/setup.sh)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$venv/bin/uv" build -q --wheel --no-build-isolation -p "$venv/bin/python" -o "$work/dist" .
"$venv/bin/uv" venv -q -p "$venv/bin/python" "$work/venv"
"$venv/bin/uv" pip install -q -p "$work/venv/bin/python" --no-deps "$work"/dist/*.whl
# the dependencies are those of the lock, already installed
"$venv/bin/python" -c 'import site; print(site.getsitepackages()[0])' > "$("$work/venv/bin/python" -c 'import site; print(site.getsitepackages()[0])')/deps.pth"
cd "$work"
"$work/venv/bin/hostler" --version
"$work/venv/bin/hostler" check -f "$("$work/venv/bin/python" -c 'from hostler.resources import stacks; print(stacks())')/workstation.yaml"

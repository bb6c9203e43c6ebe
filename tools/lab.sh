#!/usr/bin/env bash
# Test hosts by hand: lab.sh up 3 | enter | down | list ... (see tests/lab/README.md)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=$(tools/setup.sh)
PYTHONPATH=tests PATH="$venv/bin:$PATH" exec "$venv/bin/python" -m lab "$@"

#!/usr/bin/env bash
# Everything that is tested: lint, types, the wheel, then pytest, whose closing line is the last. --soak: what takes longer, too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONPATH=infra:tests
venv=$(tools/setup.sh)
export PATH="$venv/bin:$PATH"
marks="not soak"
[ "${1:-}" != --soak ] || marks="soak or not soak"
tools/lint.sh
tools/wheel.sh
python tests/tools/pulumi_cli.py
python -m lab setup
# two files at a time: much of a lab test is waiting for hosts; in their order, so that short ones come last, and none waits
python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "$marks" --durations=15

#!/usr/bin/env bash
# Measures what the README quotes; results.md and the README are written anew. About 25 minutes on 2 idle cores.
# bench.sh [noop] [cold] [weights] [rollout] [idle] [words] [placement] [gateway]: only these; bench.sh --readme: only quotes bench/results.md again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=$(tools/setup.sh)
export PYTHONPATH=tests:bench
unset PYTHONDONTWRITEBYTECODE # what is measured starts as it does for users: compiled
if [ "${1:-}" = --readme ]; then
  exec "$venv/bin/python" bench/report.py
fi
exec timeout --kill-after=60 2700 "$venv/bin/python" bench/run.py "$@"

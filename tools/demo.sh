#!/usr/bin/env bash
# The demo: two test hosts with stand-in GPUs, `hostler up`, a question and a real model's answer.
# demo.sh up | shell | down
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONPATH=tests
venv=$(tools/setup.sh)
lab() { "$venv/bin/python" -m lab "$@"; }
pulumi=$("$venv/bin/python" tests/tools/pulumi_cli.py)
PATH="$venv/bin:$(dirname "$pulumi"):$PATH"
export PATH
case "${1:-up}" in
up)
  lab up demo
  lab run --name demo -- "$venv/bin/hostler" up -f stacks/lab.yaml --yes
  lab run --name demo -- "$venv/bin/python" tools/demo_chat.py "$venv/bin/hostler"
  ;;
shell)
  echo "you are the demo's operator; try: hostler status -f lab    (exit leaves)"
  lab enter --name demo
  ;;
down)
  lab down --name demo
  ;;
*)
  echo "usage: demo.sh up | shell | down" >&2
  exit 2
  ;;
esac

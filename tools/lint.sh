#!/usr/bin/env bash
# Every static check, each with its command printed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=$(tools/setup.sh)
export PATH="$venv/bin:$PATH"
command -v shellcheck >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends shellcheck >/dev/null; }
# pyright's engine and node come from npm at the first run; both are kept in the user's cache
set -x
ruff check -q infra tests tools bench
ruff format -q --check infra tests tools bench
pyright --warnings
yamllint -s playbooks stacks .github 2>/dev/null || yamllint -s playbooks stacks
ansible-lint -q --offline playbooks
git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck
python -m hostler.stackfile.generate --check

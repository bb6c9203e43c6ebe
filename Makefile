# Each target prints the command it runs. All set-up is done by the target itself, and is quick the second time.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
VENV = $$(tools/setup.sh)
export PYTHONPATH := tests

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

demo: ## two test hosts with stand-in GPUs, `hostler up`, a question and its answer
	tools/demo.sh up

demo-shell: ## a shell in which `hostler` is the operator of the demo's hosts
	tools/demo.sh shell

demo-down: ## take the demo's hosts away
	tools/demo.sh down

check: ## lint, types and the tests that need no hosts: seconds
	tools/lint.sh
	$(VENV)/bin/python -m pytest -q tests/unit

test: ## everything: lint, types, wheel, unit, contract and lab tests
	tools/test.sh

soak: ## what takes longer: every kill point, both guest systems
	tools/test.sh --soak

lab: ## N test hosts, left running (make lab N=3)
	tools/lab.sh up $(or $(N),2)

docs: ## regenerate the schema, the sample and the reference
	$(VENV)/bin/python -m hostler.stackfile.generate

lock: ## pin all dependencies anew
	$(VENV)/bin/uv pip compile -q pyproject.toml --group test --group lint --group build --python-version 3.12 \
	  --universal --generate-hashes --no-header --no-emit-index-url -o requirements.lock

wheel: ## build the wheel, install it elsewhere, run it from there
	tools/wheel.sh

bench: ## measure what the README quotes, as ratios in one run
	tools/bench.sh

.PHONY: help demo demo-shell demo-down check test soak lab docs lock wheel bench
.DEFAULT_GOAL := help

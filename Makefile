# One command for each thing; every target does its own set-up.

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
# The first interpreter that really runs: a version manager's shim may exist and still fail.
FIND_PYTHON = for p in python3.13 python3.12 python3.11 python3; do \
	if $$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; \
	then echo $$p; exit; fi; done
ARGS ?=

.PHONY: run demo test bench chaos soak lint help clean tmux tools people rivals

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  \1\t/' | expand -t 12

run: $(STAMP) tmux ## set up, then run the service in the foreground (ARGS="--observe ...")
	@exec $(BIN)/sidecar run $(ARGS)

demo: $(STAMP) tmux ## injure a private session four times and show how it is healed
	@exec $(BIN)/sidecar demo

# Two more at once than there are processors: they mostly wait. Each test has a folder, a tmux server and ports
# of its own; a file stays together.
test: $(STAMP) tmux tools people lint ## set up, then run every test
	$(BIN)/python -m pytest -n $$(($$(nproc) + 2)) --dist loadfile --cov --cov-report=term $(ARGS)

bench: $(STAMP) tmux rivals ## measure beside raw tmux commands (ARGS="--list", ARGS="look kill-pane")
	@exec $(BIN)/python -m bench $(ARGS)

chaos: $(STAMP) tmux people ## ten minutes of people at work in healthy sessions: nothing may be done (ARGS="--seconds 60 --seed 1 --declared")
	@exec $(BIN)/python -m chaos.healthy $(ARGS)

soak: $(STAMP) tmux ## injure sessions 500 times and kill the sidecar each time (ARGS="--injuries 60 --seed 7")
	@exec $(BIN)/python -m chaos.soak $(ARGS)

lint: $(STAMP) ## style, types, and the floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean: ## remove what the set-up has made
	rm -rf $(VENV) .tools

$(STAMP): pyproject.toml constraints.txt
	@python=$$($(FIND_PYTHON)); \
	if [ -z "$$python" ]; then echo "Python 3.11, 3.12 or 3.13 with venv is needed (Debian: python3-venv)" >&2; exit 1; fi; \
	$$python -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

tmux:
	@tests/tools/setup.sh installed tmux tmux

people:
	@tests/tools/setup.sh installed vim vim

# A rival that cannot be had is said in one line, and not measured beside.
rivals:
	@tests/tools/setup.sh unpacked supervisor supervisord || true

tools:
	@tests/tools/setup.sh unpacked prometheus prometheus
	@tests/tools/setup.sh unpacked prometheus-alertmanager amtool

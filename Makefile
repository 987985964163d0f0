# Everything from a fresh clone; each target sets up what it needs and skips what is already there.
#   make train ARGS="assistant=bc seed=1"      overrides for the program
#   make train PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"      the small CPU build of torch
PYTHON ?= python3
JOBS ?= auto
ARGS ?=
PIP_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
# The stamp's name carries the content of the two files, so that a checkout's file times don't matter.
STAMP := $(VENV)/.installed-$(shell cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)

.DEFAULT_GOAL := help
.PHONY: help train test browser benchmark cockpit clean

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

train: $(STAMP) ## train on kitchen-mixed, evaluate, write the report
	$(BIN)/python -m autonomy.train env=kitchen-mixed $(ARGS)

test: $(STAMP) browser ## linter, type checker, import contract, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) $(ARGS)

browser: # for the tests of the cockpit's page, where this user may install one; without it they are skipped
	@command -v chromium || command -v chromium-browser || command -v google-chrome || \
	{ test "$$(id -u)" = 0 && apt-get update -q && apt-get install -y -q chromium libegl1 libgl1-mesa-dri; } >/dev/null 2>&1 || \
	echo "no chromium: the tests of the cockpit's page are skipped"

benchmark: $(STAMP) ## train and compare assistants over channels
	$(BIN)/python -m eval.benchmark $(ARGS)

cockpit: $(STAMP) ## share control with an assistant in the browser
	test -n "$(ARGS)" -o -d runs/cockpit || $(BIN)/python -m autonomy.train experiment=smoke run=runs/cockpit
	$(BIN)/python -m eval.cockpit $(or $(ARGS),run=runs/cockpit)

clean: ## remove the environment and all caches; runs/ and data stay
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python >= 3.10 is needed: make PYTHON=python3.11 ...")'
	@echo "setting up $(VENV): takes some minutes, once"
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q $(PIP_ARGS) -c constraints.txt -e '.[dev]'
	rm -f $(VENV)/.installed-*
	touch $@

# aftersale: every command that people and machines use here. `make` alone lists them.
# Works with GNU make 3.81 and newer, any POSIX shell, and Python 3.11 or newer with its venv module.

VENV   := .venv
PYTHON := $(VENV)/bin/python
READY  := $(VENV)/.ready
BENCH_VENV  := .venv-bench
BENCH_READY := $(BENCH_VENV)/.ready
ARGS   ?=

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.DEFAULT_GOAL := help
.PHONY: help demo test check setup fmt lint types imports docs run doctor migrate lock faults bench wheel

help: ## list the commands
	@echo "aftersale: stay with each sale until the customer says that it is complete"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "The first command that needs it creates $(VENV) (once). Extra arguments: make test ARGS='-k web -x'"

# --- the two to begin with

demo: $(READY) ## be customer and staff, on a page, with the clock in your hand (no token, no network)
	@$(VENV)/bin/aftersale demo $(ARGS)

test: $(READY) ## run all tests: some eight minutes (no server, no token, no network)
	@$(PYTHON) -m pytest -q -n auto --maxprocesses 4 $(ARGS)

check: lint types imports test ## everything that must hold before a change is merged

# --- work on the code

setup: ## create or mend .venv from requirements.lock
	@rm -f $(READY)
	@$(MAKE) --no-print-directory $(READY)

fmt: $(READY) ## format the code and mend what can be mended by itself
	@$(PYTHON) -m ruff format .
	@$(PYTHON) -m ruff check --fix-only --exit-zero .

lint: $(READY) ## style and mistakes (ruff)
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .

types: $(READY) ## types (mypy, strict)
	@$(PYTHON) -m mypy

imports: $(READY) ## imports run one way (import-linter)
	@$(VENV)/bin/lint-imports

faults: $(READY) ## let everything go wrong for three minutes, then balance the books
	@$(PYTHON) -m tests.campaign $(ARGS)

docs: $(READY) ## write the reference of the flow language anew
	@PYTHONPATH=. $(PYTHON) docs/reference/make_flows.py

bench: $(BENCH_READY) ## measure it beside its peers (a quarter of an hour; ARGS=--quick: two minutes)
	@$(BENCH_VENV)/bin/python -m bench $(ARGS)

# --- use the program (settings from the environment and .env)

run: $(READY) ## start the bot with the settings in .env
	@$(VENV)/bin/aftersale run $(ARGS)

doctor: $(READY) ## check tokens, channels, database, flows; say what to do
	@$(VENV)/bin/aftersale doctor $(ARGS)

migrate: $(READY) ## bring the database to this version
	@$(VENV)/bin/aftersale migrate $(ARGS)

# --- make what is shipped

lock: ## pin every dependency anew in both lock files (needs uv; ARGS=--upgrade for newer versions)
	@uv=$$(command -v uv || { test -x $(VENV)/bin/uv && echo $(VENV)/bin/uv; }); \
	test -n "$$uv" || { echo "make lock needs uv: install it, for example with: $(PYTHON) -m pip install uv" >&2; exit 1; }; \
	"$$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header pyproject.toml --group dev -o requirements.lock $(ARGS) && \
	"$$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header pyproject.toml --group bench -c requirements.lock -o requirements-bench.lock $(ARGS)

wheel: $(READY) ## build the wheel into dist/
	@rm -rf build dist
	@$(PYTHON) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

# --- the virtual environment: made once, and again only when the lock or the package's description changes

# A command may exist and still not run (version managers leave such shims), so each candidate is tried by running it.
$(READY): requirements.lock pyproject.toml
	@if ! $(PYTHON) -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	  found=; bare=; \
	  for each in python3.13 python3.12 python3.11 python3; do \
	    "$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
	    if "$$each" -c 'import venv, ensurepip' >/dev/null 2>&1; then found=$$each; break; fi; \
	    bare=$${bare:-$$each}; \
	  done; \
	  if test -z "$$found" && test -n "$$bare"; then \
	    version=$$("$$bare" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	    echo "$$bare is there, but without its venv module, which makes the project's own environment." >&2; \
	    echo "Install it (Debian, Ubuntu: sudo apt install python$$version-venv) and repeat the command." >&2; \
	    exit 1; \
	  fi; \
	  if test -z "$$found"; then \
	    echo "aftersale needs Python 3.11 or newer; none of python3.13, python3.12, python3.11, python3 is." >&2; \
	    echo "Install one (Debian, Ubuntu: sudo apt install python3 python3-venv; macOS: brew install python) and repeat." >&2; \
	    exit 1; \
	  fi; \
	  echo "Setting up with $$("$$found" --version) (once, about a minute) ..."; \
	  "$$found" -m venv --clear $(VENV) || exit 1; \
	else \
	  echo "Bringing $(VENV) up to date with requirements.lock ..."; \
	fi
	@$(PYTHON) -m pip install -qq --require-hashes -r requirements.lock \
	  || { echo "Installing the pinned libraries failed (see above). Is the network there? Repeat the command to go on." >&2; exit 1; }
	@$(PYTHON) -m pip install -qq --no-deps --no-build-isolation --editable .
	@touch $(READY)
	@echo "Ready."

# What is measured beside us is no part of us: it has an environment of its own, with the same versions of what both use.
$(BENCH_READY): $(READY) requirements-bench.lock
	@echo "Setting up $(BENCH_VENV) for the measurements (once, about a minute) ..."
	@$(PYTHON) -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python -m pip install -qq --require-hashes -r requirements-bench.lock \
	  || { echo "Installing the pinned libraries failed (see above). Is the network there? Repeat the command to go on." >&2; exit 1; }
	@touch $(BENCH_READY)

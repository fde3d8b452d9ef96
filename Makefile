# A machine needs Python 3.11 or newer and make; everything else is installed into .venv.
SHELL := /bin/sh
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PINS := requirements/dev.txt
STAMP := $(VENV)/.installed
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup run test browser check tools audit bench soak lock openapi docs

help:
	@echo "make run      start everything on this machine (first start: sample data and a demo); ARGS=... goes to manage.py up"
	@echo "make test     every test; ARGS=... goes to pytest"
	@echo "make check    lint, format, types, import walls, migrations, API document, deployment checks"
	@echo "make tools    linters of deploy/ and bandit for make check, which names those that are missing"
	@echo "make audit    known vulnerabilities of the pinned packages; asks PyPI"
	@echo "make bench    all benchmarks, one table and one JSON line per figure"
	@echo "make soak     a long run under faults; ARGS=... goes to it"
	@echo "make lock     pin requirements/*.in anew"

# In no time where nothing changed: the stamp holds the checksum of the pins and the interpreter that installed them.
setup:
	@want="$$(cksum < $(PINS)) $$($(PYTHON) -c 'import sys; print(sys.version)' | head -1)"; \
	if [ -x $(BIN)/python ] && [ "$$(cat $(STAMP) 2>/dev/null)" = "$$want" ]; then exit 0; fi; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "KTRDR needs Python 3.11 or newer; this is $$($(PYTHON) --version). Set PYTHON=/path/to/python3.11"; exit 1; }; \
	echo "Installing the pinned packages into $(VENV) (once; about 2 GB, torch most of it)"; \
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV) || exit 1; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement $(PINS) || exit 1; \
	printf '%s\n' "$$want" > $(STAMP)

run: setup
	@exec $(BIN)/python manage.py up $(ARGS)

# What starts whole systems, and measures by the clock what they do, has the machine to itself, two folders at a time: they
# wait more than they compute. The rest shares its cores.
SYSTEMS := tests/faults tests/stack tests/browser

test: setup browser
	@if [ -n "$(ARGS)" ]; then exec $(BIN)/python -m pytest $(ARGS); fi; \
	failed=0; \
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 $(SYSTEMS:%=--ignore=%) || failed=1; \
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadscope --no-loadscope-reorder $(SYSTEMS) || failed=1; \
	exit $$failed

# Playwright drives the system's Chromium.
browser:
	@if [ -x /usr/bin/chromium ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing Debian's chromium for the browser tests"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else \
	  echo "The browser tests need Chromium: install the package chromium (apt-get install chromium)"; exit 1; \
	fi

check: setup
	@failed=0; \
	step() { echo "== $$*"; "$$@" || failed=1; }; \
	step $(BIN)/ruff check .; \
	step $(BIN)/ruff format --check .; \
	step $(BIN)/djangofmt --check templates operations ktrdr_site; \
	step $(BIN)/djangofmt check templates operations ktrdr_site; \
	step $(BIN)/mypy; \
	step $(BIN)/lint-imports --no-logo; \
	export KTRDR_DATA_DIR="$$PWD/$(VENV)/check-data"; mkdir -p "$$KTRDR_DATA_DIR"; \
	step $(BIN)/python manage.py makemigrations --check --dry-run; \
	step $(BIN)/python manage.py spectacular --validate --fail-on-warn --file "$$KTRDR_DATA_DIR/openapi.yaml"; \
	step diff -u docs/openapi.yaml "$$KTRDR_DATA_DIR/openapi.yaml"; \
	step $(BIN)/python manage.py check --deploy --fail-level WARNING; \
	step env KTRDR_HTTPS=on $(BIN)/python manage.py check --deploy --fail-level WARNING; \
	step $(BIN)/python deploy/check.py; \
	exit $$failed

# Apart from the product's packages, since they want other versions of some.
tools: setup
	@[ -x $(VENV)/tools/bin/python ] || $(PYTHON) -m venv $(VENV)/tools
	@$(VENV)/tools/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements/tools.txt

# Not in make check: it needs PyPI's JSON interface, and its answer changes by itself.
audit: tools
	@exec $(VENV)/tools/bin/python -m pip_audit --strict --no-deps --disable-pip --progress-spinner off --requirement $(PINS)

# In an environment of its own, like the linters.
docs:
	@[ -x $(VENV)/docs/bin/python ] || $(PYTHON) -m venv $(VENV)/docs
	@$(VENV)/docs/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements/docs.txt
	@NO_MKDOCS_2_WARNING=1 $(VENV)/docs/bin/mkdocs build --strict --quiet && echo "The documentation is in dist/docs/index.html"

openapi: setup
	@$(BIN)/python manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

bench: setup
	@exec $(BIN)/python -m benchmarks $(ARGS)

soak: setup
	@exec $(BIN)/python -m tests.faults.soak $(ARGS)

# No registry's address and no local variant of a version in any file.
lock: setup
	@cd requirements && for name in agent web workers dev docs; do \
	  CUSTOM_COMPILE_COMMAND="make lock" ../$(BIN)/python -m piptools compile --quiet --no-header --strip-extras \
	    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file $$name.txt $$name.in || exit 1; \
	  sed -i.bak 's/+cpu//' $$name.txt && rm $$name.txt.bak; \
	done

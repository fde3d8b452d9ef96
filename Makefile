# Requires Python 3.11 or newer; everything else is installed into .venv.
SHELL := /bin/sh
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PINS := requirements/dev.txt requirements/torch-cpu.txt requirements/torch-pypi.txt requirements/cuda.txt
INSTALL := sh requirements/install.sh
STAMP := $(VENV)/.installed
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup run test coverage browser check tools audit sbom docs bench bench-peers notebooks soak deploy-test lock openapi

help:
	@echo "make run       start everything on this machine (first start: sample data and a demo); ARGS=\"...\" for manage.py up"
	@echo "make test      run every test; ARGS=\"...\" for pytest"
	@echo "make check     lint, format, types, import contracts, migrations, API document, deployment files"
	@echo "make coverage  run the tests and report their branch coverage; HTML in dist/coverage"
	@echo "make docs      build the documentation as a site in dist/docs"
	@echo "make bench     run all benchmarks; one table, and one JSON line per figure"
	@echo "make bench-peers  install the programs that the benchmarks compare with, into .venv/peers"
	@echo "make notebooks  install papermill for a test, into .venv/notebooks; make test does this first"
	@echo "make soak      repeat the fault tests; ARGS=\"...\" for its options"
	@echo "make deploy-test  start the deployments on machines of their own (root, Debian 12); ARGS=\"systemd\" for one of them"
	@echo "make tools     install linters that make check then runs, and a server of object storage for a test"
	@echo "make audit     list known vulnerabilities of the pinned packages (asks PyPI; ADVISORIES=FILE reads a copy of OSV)"
	@echo "make sbom      list the packages of site and workers as CycloneDX in dist/"
	@echo "make openapi   write docs/openapi.yaml and docs/api-calls.md from the code"
	@echo "make lock      pin the packages of requirements/*.in again, with hashes; ARGS=\"web dev\" for these only"
	@echo "make setup     install the pinned packages; run, test, check, coverage and bench do this first"

# Skips the install when the pins and the interpreter are unchanged; the stamp contains the checksum of both.
setup:
	@want="$$(cat $(PINS) | cksum) $$($(PYTHON) -c 'import sys; print(sys.version)' | head -1)"; \
	if [ -x $(BIN)/python ] && [ "$$(cat $(STAMP) 2>/dev/null)" = "$$want" ]; then exit 0; fi; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "KTRDR needs Python 3.11 or newer; this is $$($(PYTHON) --version). Set PYTHON=/path/to/python3.11"; exit 1; }; \
	echo "Installing the pinned packages into $(VENV) (once; about 2 GB, mostly torch)"; \
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV) || exit 1; \
	$(INSTALL) $(BIN)/python dev torch || exit 1; \
	printf '%s\n' "$$want" > $(STAMP)

run: setup
	@exec $(BIN)/python manage.py up $(ARGS)

# Two processes per core, because the tests of whole systems wait more than they compute.
PARALLEL := --numprocesses=auto --dist=loadscope --no-loadscope-reorder

# The many processes that the tests start load cached bytecode, also where the environment keeps Python from writing any.
test: setup browser notebooks
	@exec env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest $(if $(ARGS),$(ARGS),$(PARALLEL))

# Apart from make test, because measuring needs three quarters more CPU time. Failures do not count here: make test judges.
coverage: setup browser notebooks
	@rm -rf dist/coverage && mkdir -p dist/coverage; export COVERAGE_FILE="$$PWD/dist/coverage/data"; \
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest --cov --cov-report= $(PARALLEL); \
	$(BIN)/python -m coverage html --quiet --directory dist/coverage && $(BIN)/python -m coverage report | tail -1

# Playwright drives the system's Chromium.
browser:
	@if [ -x /usr/bin/chromium ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing Debian's package chromium for the browser tests"; \
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
	step env DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python manage.py makemigrations --check --dry-run; \
	step $(BIN)/python manage.py spectacular --validate --fail-on-warn --file "$$KTRDR_DATA_DIR/openapi.yaml"; \
	step diff -u docs/openapi.yaml "$$KTRDR_DATA_DIR/openapi.yaml"; \
	step $(BIN)/python manage.py check --deploy --fail-level WARNING; \
	step env KTRDR_HTTPS=on $(BIN)/python manage.py check --deploy --fail-level WARNING; \
	step $(BIN)/python deploy/check.py; \
	exit $$failed

# In their own environment, because they need other versions of some packages than the product.
tools: setup
	@[ -x $(VENV)/tools/bin/python ] || $(PYTHON) -m venv $(VENV)/tools
	@$(INSTALL) $(VENV)/tools/bin/python tools

# Not part of make check: its result changes without a change of the code. It asks PyPI, or reads the copy in ADVISORIES.
AUDITED := requirements/dev.txt requirements/torch-pypi.txt requirements/cuda.txt
audit: setup
	@if [ -n "$(ADVISORIES)" ]; then exec $(BIN)/python -m tools.advisories "$(ADVISORIES)" $(AUDITED); fi; \
	$(MAKE) --no-print-directory tools && $(VENV)/tools/bin/python -m pip_audit --strict --no-deps --disable-pip --progress-spinner off \
	  --requirement requirements/dev.txt --requirement requirements/torch-pypi.txt && exit 0; status=$$?; \
	echo "Without access to PyPI: make audit ADVISORIES=all.zip, with the copy of all advisories about PyPI from osv.dev"; \
	exit $$status

sbom: tools
	@mkdir -p dist; for name in web workers; do \
	  { cat requirements/$$name.txt; [ $$name = web ] || grep -v '^-r' requirements/torch-pypi.txt; } \
	    | $(VENV)/tools/bin/cyclonedx-py requirements --output-reproducible --output-format JSON \
	      --output-file dist/sbom-$$name.json - && echo "dist/sbom-$$name.json" || exit 1; \
	done

# In its own environment, like the linters.
docs:
	@[ -x $(VENV)/docs/bin/python ] || $(PYTHON) -m venv $(VENV)/docs
	@$(INSTALL) $(VENV)/docs/bin/python docs
	@NO_MKDOCS_2_WARNING=1 $(VENV)/docs/bin/mkdocs build --strict --quiet && echo "The documentation is in dist/docs/index.html"

openapi: setup
	@$(BIN)/python manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml && $(BIN)/python -m tools.api_calls

bench: setup
	@exec $(BIN)/python -m benchmarks $(ARGS)

# In their own environment: nothing of the product imports them. make bench finds them there.
bench-peers: setup
	@[ -x $(VENV)/peers/bin/python ] || $(PYTHON) -m venv $(VENV)/peers
	@$(INSTALL) $(VENV)/peers/bin/python peers

# For the test of the cookbook's notebook worker. In their own environment: of papermill's packages, 85 MB serve nothing else.
notebooks: setup
	@[ -x $(VENV)/notebooks/bin/python ] || $(PYTHON) -m venv $(VENV)/notebooks
	@want="$$(cksum < requirements/notebooks.txt)"; [ "$$(cat $(VENV)/notebooks/.installed 2>/dev/null)" = "$$want" ] \
	  || { $(INSTALL) $(VENV)/notebooks/bin/python notebooks && printf '%s\n' "$$want" > $(VENV)/notebooks/.installed; }

soak: setup
	@exec $(BIN)/python -m tests.faults.soak $(ARGS)

# Not part of make test: needs root, 10 GB in KTRDR_DEPLOY_TEST_CACHE and up to 40 minutes.
deploy-test: setup
	@exec $(BIN)/python -m tests.deployments $(ARGS)

# With the hashes of all files; without the address of an index. Needs an index or folder with the CPU build of torch.
lock: setup
	@$(BIN)/python -m tools.lock $(ARGS)

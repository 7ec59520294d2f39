# Works with GNU make 3.81 (macOS) and later. Everything is installed into .venv, nothing outside.
PYTHON ?= python3
VENV := .venv
VENV_PYTHON := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
SAMPLE := .sample
SAMPLE_BUILT := $(SAMPLE)/.built

.DEFAULT_GOAL := help
.PHONY: help install run test test-all lint recipes web browser docs docs-anew audit bench bench-full network comfyui guest guest-short netbench serve-load torture memory rounds fuzz clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  Variables: PYTHON=python3.12 (default python3), COMFY_ROOT=... for run,"
	@echo "  ARGS='...' is added to the command of run, test, test-all and bench."

install: $(INSTALLED) ## Set up .venv with comfy-inventory and the tools for development

# `-m pip`, `-m pytest` and so on, never .venv/bin/pip: a checkout that was moved keeps working.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "comfy-inventory needs Python 3.11 or newer, and '$(PYTHON)' is" \
	        "$$($(PYTHON) --version 2>/dev/null || echo 'not there');" \
	        "name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; \
	    exit 1; }
	@if $(VENV_PYTHON) -m pip --version >/dev/null 2>&1; then :; \
	elif $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
	    $(PYTHON) -m venv --clear $(VENV); \
	elif $(PYTHON) -m virtualenv --version >/dev/null 2>&1; then \
	    $(PYTHON) -m virtualenv --quiet --clear $(VENV); \
	elif command -v virtualenv >/dev/null; then \
	    virtualenv --quiet --clear --python "$(PYTHON)" $(VENV); \
	else \
	    echo "$(PYTHON) cannot make virtual environments;" \
	        "on Debian and Ubuntu install them with: sudo apt install python3-venv" >&2; \
	    exit 1; \
	fi
	$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# COMFY_ROOT reaches the shell through the environment, so that it may hold spaces.
run: install ## Scan on a schedule: COMFY_ROOT=..., ./ComfyUI, ../ComfyUI, or else a sample; ARGS=--serve: with its page
	@if [ -n "$$COMFY_ROOT" ]; then set -- --comfy-root "$$COMFY_ROOT"; \
	elif [ -d ComfyUI ]; then set -- --comfy-root ComfyUI; \
	elif [ -d ../ComfyUI ]; then set -- --comfy-root ../ComfyUI; \
	else \
	    echo "No ComfyUI here or beside this folder, so this runs on a sample installation" \
	        "below $(SAMPLE)/. For yours: make run COMFY_ROOT=/path/to/ComfyUI" >&2; \
	    $(MAKE) --no-print-directory $(SAMPLE_BUILT) || exit; \
	    set -- --comfy-root $(SAMPLE)/ComfyUI --downloads $(SAMPLE)/Downloads \
	        --output $(SAMPLE)/comfy_inventory.json; \
	fi; \
	exec $(VENV_PYTHON) scripts/comfy_inventory_watcher.py "$$@" $(ARGS)

$(SAMPLE_BUILT): scripts/build_sample.py tests/data/comfyui_install.tsv
	$(VENV_PYTHON) scripts/build_sample.py $(SAMPLE)
	@touch $@

# One worker a processor. Tests that share something expensive form a group and stay together.
PYTEST := $(VENV_PYTHON) -m pytest -n logical --dist loadgroup

test: install ## Run the quick tests, in two minutes or so
	$(PYTEST) -m 'not slow' $(ARGS)

test-all: install ## Run all tests: also those of clocks, kills, real mounts and packages
	$(PYTEST) $(ARGS)

lint: install ## Check style, formatting and types
	$(VENV_PYTHON) -m ruff check
	$(VENV_PYTHON) -m ruff format --check
	$(VENV_PYTHON) -m mypy

# What docs/recipes.md uses. Without it `make test-all` leaves these tests out and says so.
RECIPES_INSTALLED := $(VENV)/.installed-recipes
$(RECIPES_INSTALLED): $(INSTALLED)
	$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[recipes]'
	@touch $@

recipes: $(RECIPES_INSTALLED) ## Run the queries of docs/recipes.md with jq, pandas, DuckDB and sqlite-utils
	$(VENV_PYTHON) -m pytest tests/whole/test_recipes.py $(ARGS)

# The pages of `report` and `serve` are built from web/ and committed, so that installing needs no node.
WEB_INSTALLED := web/node_modules/.installed
$(WEB_INSTALLED): web/package-lock.json
	npm --prefix web ci --ignore-scripts --no-progress
	@touch $@

web: $(WEB_INSTALLED) ## Build the pages of `report` and `serve` anew from web/; needs node and npm
	node web/build.js

# What its tests drive the Chromium of the system with.
BROWSER_INSTALLED := $(VENV)/.installed-browser
$(BROWSER_INSTALLED): $(INSTALLED)
	$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[browser]'
	@touch $@

browser: $(BROWSER_INSTALLED) $(WEB_INSTALLED) ## Try the pages of `report` and `serve` in a real Chromium
	$(VENV_PYTHON) -m pytest tests/whole/test_report_page.py tests/whole/test_serve_page.py tests/project/test_web.py $(ARGS)

# What makes the pages, and the installers that docs/ names.
DOCS_INSTALLED := $(VENV)/.installed-docs
$(DOCS_INSTALLED): $(INSTALLED)
	$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

docs: $(DOCS_INSTALLED) ## Build the pages of docs/ into build/site, and run every command that they show
	NO_MKDOCS_2_WARNING=1 $(VENV_PYTHON) -m mkdocs build --strict --quiet
	$(VENV_PYTHON) -m pytest tests/whole/test_documents.py $(ARGS)

docs-anew: $(DOCS_INSTALLED) ## Write anew what is made from the program: man page, settings, fields, outputs, picture
	$(VENV_PYTHON) -m scripts.man_page
	$(VENV_PYTHON) -m scripts.describe_settings
	$(VENV_PYTHON) -m scripts.describe_fields
	$(VENV_PYTHON) -m tests.support.documents
	$(VENV_PYTHON) -m scripts.screens picture

# The database of known weaknesses is on the network; without it this says so and is no failure.
audit: install ## Look for known weaknesses in what is installed, where the network has their list
	@$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[audit]'
	@$(VENV_PYTHON) -m scripts.audit

# What else is measured beside the program. Without it a benchmark leaves those out and says so.
BENCH_INSTALLED := $(VENV)/.installed-bench
$(BENCH_INSTALLED): $(INSTALLED)
	@$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[bench]' && \
	    touch $@ || echo "what is missing to compare with is left out" >&2

# ROOT reaches the shell through the environment, as COMFY_ROOT does.
bench: $(if $(ROOT),install,$(BENCH_INSTALLED)) ## Measure against others, in minutes; ROOT=... tunes settings for a folder of yours
	@if [ -n "$$ROOT" ]; then \
	    exec $(VENV_PYTHON) -m scanner tune "$$ROOT" $(ARGS); \
	else \
	    exec $(VENV_PYTHON) -m benchmarks $(ARGS); \
	fi

bench-full: $(BENCH_INSTALLED) ## The same up to a million files; writes benchmarks/RESULTS.md
	$(VENV_PYTHON) -m benchmarks --full $(ARGS)

network: install ## Try every fault on every kind of network mount
	COMFY_NETWORK=all $(VENV_PYTHON) -m pytest tests/whole/test_network.py $(ARGS)

# The panel in a real ComfyUI. COMFYUI_CODE and COMFYUI_PYTHON name one; else it is fetched into .comfyui.
comfyui: $(BROWSER_INSTALLED) ## Try the panel in a real ComfyUI with Chromium, and measure its lists over sshfs
	COMFY_TEST_PATIENCE=300 $(VENV_PYTHON) -m tests.support.real_comfyui $(ARGS)

guest: install ## Try every fault on the kernel's own NFS, SMB, 9p, vfat and exFAT, in a guest under qemu
	COMFY_GUEST=all $(VENV_PYTHON) -m pytest tests/whole/test_guest.py tests/whole/test_round_trips.py $(ARGS)

guest-short: install ## Try one fault each on NFS 4.2, SMB and vfat there, in some minutes
	COMFY_GUEST=short $(VENV_PYTHON) -m pytest tests/whole/test_guest.py $(ARGS)

netbench: install ## Measure scans of a slow mount against find
	$(VENV_PYTHON) -m benchmarks.network $(ARGS)

serve-load: install ## Hold 200 listeners on the stream of events for a minute
	$(VENV_PYTHON) -m benchmarks.serve --listeners 200 --seconds 60 $(ARGS)

memory: install ## Scan ten thousand times with changes, and print what memory holds
	$(VENV_PYTHON) -m tests.support.many_scans $(ARGS)

torture: install ## Kill the program a hundred times and see that nothing is lost
	COMFY_TORTURE=100 $(VENV_PYTHON) -m pytest tests/whole/test_crash.py --timeout 3600 $(ARGS)

rounds: install ## Edit trees on ext4, tmpfs and sshfs at random, 2,000 rounds each; needs root
	for kind in ext4 tmpfs sshfs; do \
	    $(VENV_PYTHON) -m tests.support.random_disk $$kind --seeds 0-19 --rounds 100 $(ARGS) || exit; \
	done

fuzz: install ## Read a million damaged headers, sidecars and workflows, and see that nothing breaks
	$(VENV_PYTHON) -m tests.support.fuzz_headers 1000000
	$(VENV_PYTHON) -m tests.support.fuzz_companions 300000
	$(VENV_PYTHON) -m tests.support.fuzz_workflows 100000

clean: ## Remove virtual environments, the sample, caches and builds
	rm -rf $(VENV) .venv-* $(SAMPLE) dist build web/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find scanner scripts benchmarks tests -name __pycache__ -prune -exec rm -rf {} +

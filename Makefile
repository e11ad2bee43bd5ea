# The Python that the environment is made with: `make PYTHON=python3.11 test`.
PYTHON ?= python3
# More arguments for pip, for example an index with CPU builds of torch; see README.md.
PIP_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
# One stamp per interpreter, so that another PYTHON never meets an environment that it did not make.
STAMP := $(VENV)/installed-with-$(subst /,-,$(PYTHON))
# The C kernels, built anew when their source changes.
KERNELS := $(VENV)/kernels-built

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all test-page test-newest test-matrix wheel runtime docs lint format clean

help: ## Show this list.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  %-14s %s\n", $$1, $$2}'

setup: $(KERNELS) ## Make the environment in .venv (every other target does so when needed).

demo: $(KERNELS) ## Train on scikit-learn's digits, evaluate, and say where the results are.
	$(BIN)/dnw-graph demo

test: lint ## Check style and types, then run the tests.
	$(BIN)/python -m pytest

test-all: lint test-page ## The same with the slow tests and the page in a browser.
	$(BIN)/python -m pytest -m ''

# The page: its scripts built from page/ and compared with those in the package, then used in Chromium.
PAGES := build/pages
CHROMIUM ?= /usr/bin/chromium

test-page: $(KERNELS) page/node_modules/installed ## Use the page in headless Chromium (needs npm and Chromium).
	@test -x "$(CHROMIUM)" || { echo "There is no $(CHROMIUM); install Chromium, or give CHROMIUM=path."; exit 1; }
	cd page && node build.mjs ../build/page
	diff -r build/page dnw_graph/view/built
	$(BIN)/python tests/view/pages.py $(PAGES)
	CHROMIUM="$(CHROMIUM)" node tests/view/drive.mjs $(PAGES)

page/node_modules/installed: page/package.json page/package-lock.json
	cd page && npm ci --no-audit --no-fund --ignore-scripts
	@touch $@

# Environments with the newest and with the lowest versions that pyproject.toml allows, neither of them pinned,
# made from the wheel: what `pip install` gives.
SMOKE := tests/smoke/smoke.py
WHEEL = $$(echo dist/dnw_graph-*.whl)

test-newest: .venv-newest/installed ## Try the wheel with the newest versions of all packages.
	$(CURDIR)/.venv-newest/bin/python $(SMOKE)

test-matrix: test-newest .venv-lowest/installed ## The same, and with the lowest versions (on Python 3.10 or 3.11).
	$(CURDIR)/.venv-lowest/bin/python $(SMOKE)

docs: $(KERNELS) ## Build the documentation site in build/site; a warning is an error.
	$(BIN)/python docs/site/build.py

wheel: dist/built ## Build the wheel in dist/.

dist/built: $(KERNELS) $(shell find dnw_graph configs -name '*.py' -o -name '*.yaml' -o -name '*.[ch]' -o -path '*/built/*')
	@rm -rf build dist && $(BIN)/python -m pip wheel --disable-pip-version-check --quiet --no-deps --wheel-dir dist . && rm -rf build && touch $@

runtime: $(KERNELS) ## Build the wheel of dnw-runtime, which needs NumPy only, in dist/.
	$(BIN)/python -m pip wheel --disable-pip-version-check --quiet --no-deps --wheel-dir dist ./runtime && rm -rf runtime/build runtime/*.egg-info

.venv-newest/installed: pyproject.toml
.venv-lowest/installed: pyproject.toml constraints/lowest.py
.venv-%/installed: dist/built
	@test -x .venv-$*/bin/python || $(PYTHON) -m venv .venv-$*
	@if [ $* = lowest ]; then .venv-$*/bin/python constraints/lowest.py "$(WHEEL)" > .venv-$*/versions.txt; \
	 else : > .venv-$*/versions.txt; fi
	@.venv-$*/bin/python -m pip install --disable-pip-version-check --quiet --upgrade --upgrade-strategy eager \
	 $(PIP_ARGS) -c .venv-$*/versions.txt "$(WHEEL)[figures,tensorboard]" \
	&& .venv-$*/bin/python -m pip install --disable-pip-version-check --quiet --force-reinstall --no-deps "$(WHEEL)" && touch $@

lint: $(KERNELS) ## Check style, format, types and the order of the rooms.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache

format: $(STAMP) ## Rewrite the sources in the project's format.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## Remove the environment, caches and build products; runs/ and data/ stay.
	rm -rf page/node_modules $(VENV) .venv-newest .venv-lowest build dist *.egg-info runtime/build runtime/*.egg-info dnw_graph/native/*.so .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find dnw_graph tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(STAMP): pyproject.toml $(wildcard constraints/*)
	@pins="$$($(PYTHON) constraints/check_python.py)" \
	&& echo "Making $(VENV) with the versions of $$pins." \
	&& $(PYTHON) -m venv --clear $(VENV) \
	&& $(BIN)/python -m pip install --disable-pip-version-check --quiet $(PIP_ARGS) -c "$$pins" -e '.[dev]' \
	&& touch $@ $(KERNELS)

$(KERNELS): $(STAMP) setup.py $(wildcard dnw_graph/native/source/* dnw_graph/native/source/templates/*)
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e . && touch $@

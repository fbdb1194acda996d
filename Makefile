# make demo        sets everything up and opens a shared notebook
# make test        sets everything up and runs every test
# make check       runs the linters and type checkers
# make soak        runs the tests that draw by lot, for as long as you like
# make benchmark   measures, beside the peers
# make docs        builds the documentation into .site/
#
# They need Python 3.11 or later, Node 20 or later, and for the tests Debian's Chromium; they say what is missing.

# What has to be there is got, and checked, two at a time.
MAKEFLAGS += --jobs=2
# Hundreds of processes that the tests start would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The browser side is built by then; built once more, its packages would look newer than they are.
PIP := HATCH_JUPYTER_BUILDER_SKIP_NPM=1 $(BIN)/pip --quiet --disable-pip-version-check
WASM := tests/platforms/node_modules/.installed
BUNDLE := msq_jupyter/widgets/static/panel.js
CROQUET := benchmarks/croquet/node_modules/.installed
PEERS := benchmarks/fan_out/node_modules/.installed
COLLABORATION := benchmarks/collaboration/.venv/.installed
CHROMIUM := /usr/bin/chromium
# As root, as in many containers, Debian's packages are installed without asking.
APT := $(shell [ "$$(id -u)" = 0 ] && command -v apt-get)

# Processes that run tests: more than two only slow down the browsers. A part of them: $(BIN)/python -m pytest tests/session
WORKERS ?= 2

.PHONY: demo test soak check check-python check-js clean tools chromium benchmark docs

demo: $(VENV)/.demo $(BUNDLE)
	@$(BIN)/python notebooks/demo.py $(DEMO_FLAGS)

test: $(VENV)/.installed $(BUNDLE) $(WASM) $(CROQUET) $(PEERS) chromium check
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --durations 20

# From seeds drawn by lot: real sessions while connections, processes and clocks fail, for so many minutes; simulated
# sessions in bad weather and with something dying at every step of a save, real processes that are killed there, inputs
# that no decoder expects, and a long log on every platform that is here:
# make soak MINUTES=300 SCHEDULES=1000000 KILLS=1000 INPUTS=10000000 EVENTS=1000000
MINUTES ?= 30
SCHEDULES ?= 100000
KILLS ?= 200
INPUTS ?= 1000000
EVENTS ?= 300000
soak: $(VENV)/.installed $(WASM)
	MSQ_SOAK_MINUTES=$(MINUTES) $(BIN)/python -m pytest tests/soak -q -s --msq-seed random
	$(BIN)/python -m pytest tests/simulation tests/faults/test_virtual.py -q --msq-schedules $(SCHEDULES) --msq-seed random
	MSQ_FUZZ_INPUTS=$(INPUTS) $(BIN)/python -m pytest tests/faults -q --ignore tests/faults/test_virtual.py --msq-schedules $(KILLS) --msq-seed random
	MSQ_PLATFORM_EVENTS=$(EVENTS) $(BIN)/python -m pytest tests/platforms -q --timeout 3600

check: check-python check-js

check-python: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check-js: js/node_modules/.installed
	cd js && npm run --silent check && npm run --silent lint && npm run --silent test

docs: $(VENV)/.installed
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "The documentation is in .site/index.html; with search: $(BIN)/python -m http.server --directory .site"

benchmark: $(VENV)/.installed $(BUNDLE) $(CROQUET) $(PEERS) $(COLLABORATION) chromium
	$(BIN)/python benchmarks/replica.py
	$(BIN)/python benchmarks/persistence.py
	$(BIN)/python benchmarks/synchronizer.py
	$(BIN)/python benchmarks/joining.py
	$(BIN)/python benchmarks/widgets.py

$(BUNDLE): js/node_modules/.installed $(wildcard js/src/* js/src/*/*) js/build.mjs
	cd js && npm run --silent build

js/node_modules/.installed: js/package.json js/package-lock.json | tools
	cd js && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# CPython on WebAssembly, which Node runs.
$(WASM): tests/platforms/package.json tests/platforms/package-lock.json | tools
	cd tests/platforms && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# The peer of benchmarks/replica.py.
$(CROQUET): benchmarks/croquet/package.json benchmarks/croquet/package-lock.json | tools
	cd benchmarks/croquet && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# The peers of benchmarks/synchronizer.py.
$(PEERS): benchmarks/fan_out/package.json benchmarks/fan_out/package-lock.json | tools
	cd benchmarks/fan_out && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# A peer of benchmarks/widgets.py, apart because it changes every JupyterLab of its environment.
$(COLLABORATION): benchmarks/collaboration/requirements.txt | tools
	$(PYTHON) -m venv benchmarks/collaboration/.venv
	benchmarks/collaboration/.venv/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# For the lessons and no more, so that the first one opens soon.
$(VENV)/.demo: pyproject.toml | tools $(BUNDLE)
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -e ".[lab,lessons]"
	@touch $@

$(VENV)/.installed: pyproject.toml | tools $(BUNDLE)
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -e ".[test,lab,dev,benchmark,docs]"
	@touch $@

tools:
	@missing=0; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { missing=1; \
	  echo "missing: Python 3.11 or later as '$(PYTHON)' (Debian: apt-get install python3), or make PYTHON=/path/to/python3"; }; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { missing=1; \
	  echo "missing: Python's venv (Debian: apt-get install python3-venv)"; }; \
	node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' \
	  2>/dev/null || { missing=1; \
	  echo "missing: Node 20.19 or later as 'node' (https://nodejs.org, or your distribution's package nodejs)"; }; \
	command -v npm >/dev/null || { missing=1; echo "missing: npm, which comes with Node"; }; \
	exit $$missing

chromium:
	@if [ ! -x $(CHROMIUM) ] && [ -n "$(APT)" ]; then \
	  $(APT) update -qq && DEBIAN_FRONTEND=noninteractive $(APT) install -qq -y --no-install-recommends chromium; fi
	@[ -x $(CHROMIUM) ] || { echo "missing: Chromium as $(CHROMIUM) (Debian: sudo apt-get install chromium)"; exit 1; }

clean:
	rm -rf $(VENV) .cache js/node_modules tests/platforms/node_modules benchmarks/croquet/node_modules \
	  benchmarks/collaboration/.venv \
	  msq_jupyter/widgets/static build dist .demo .site

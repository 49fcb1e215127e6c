# The commands of this project; CI runs the same ones.
#
#   make demo    install, then train, compress, publish and watch: from nothing to live frames
#   make test    install what the tests need, run all of them
#   make check   format, lint, types, layers
#   make test-aarch64   the client's tests on an emulated Raspberry Pi
#   make bench   every figure of the README, printed afresh
#   make screenshots   the pictures of docs/images, from the real app
#   make screenshots-readme   those of the README: four cameras that read handwriting (needs MNIST)
#   make fuzz    the parsers of what comes from outside, for longer than the tests do

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
BIN := $(VENV)/bin
# Python compiles what it imports, which is a small part of six gigabytes. It must be allowed to keep that: without
# it each process compiles PyTorch afresh, which takes longer than all that the process then does.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-compile -c constraints.txt

.PHONY: demo test test-aarch64 check bench screenshots screenshots-readme fuzz format install install-dev system-packages clean

demo: $(VENV)/.studio
	$(BIN)/slimcast demo

test: $(VENV)/.dev system-packages
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

# The client alone, emulated; skips with a reason where qemu, an aarch64 Python or the wheels cannot be had.
test-aarch64: $(BIN)/python
	PYTHON=$(BIN)/python sh tests/aarch64.sh tests/edge_client $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/run_all.py

screenshots: $(VENV)/.dev system-packages
	PYTHONPATH=tests $(BIN)/python tests/e2e/screenshots.py

screenshots-readme: $(VENV)/.dev system-packages
	PYTHONPATH=tests $(BIN)/python tests/e2e/screenshots_readme.py

# atheris looks at coverage; it is used where somebody has installed it into the environment.
fuzz: $(VENV)/.dev
	SLIMCAST_FUZZ_EXAMPLES=$(or $(EXAMPLES),20000) $(BIN)/python -m pytest tests/test_fuzz.py tests/edge_client/test_exchange.py -n $(WORKERS) --timeout 0 $(ARGS)
	@if $(BIN)/python -c 'import atheris' 2>/dev/null; then PYTHONPATH=tests $(BIN)/python tests/fuzz_atheris.py; \
	else echo "atheris is not installed; with it, more is found: $(BIN)/pip install atheris"; fi

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

install: $(VENV)/.studio
install-dev: $(VENV)/.dev

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Slimcast needs Python 3.11 or newer, and $(PYTHON) is older. Choose another: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.studio: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing Slimcast and what it needs (about 6 GB with PyTorch; some minutes the first time) ..."
	$(PIP) -e ".[studio]"
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing Slimcast with its test tools (about 6 GB with PyTorch; some minutes the first time) ..."
	$(PIP) -e ".[studio,video,dev]"
	@touch $@ $(VENV)/.studio

# Chromium and Mosquitto for the end-to-end tests. Without root those tests skip and say what to install.
system-packages:
	@missing=""; \
	command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing="$$missing chromium"; \
	command -v mosquitto >/dev/null || test -x /usr/sbin/mosquitto || missing="$$missing mosquitto"; \
	command -v shellcheck >/dev/null || missing="$$missing shellcheck"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing$$missing ..."; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	else \
	  echo "Tests that need$$missing will skip. To run them: sudo apt-get install$$missing"; \
	fi

clean:
	rm -rf $(VENV) dist build test-output .pytest_cache .mypy_cache .ruff_cache

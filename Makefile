# The commands of this repository. Each can be repeated: what is up to date is not done again.

# The Python that .venv is made from, the port of the app, and whatever pytest is to be told.
PYTHON ?= python3
PORT ?= 8501
PYTEST ?=
# What the benchmarks are to be told, for example BENCH=--quick.
BENCH ?=
# What `make ordinary` runs: what depends most on the processor.
ORDINARY := tests/e2e tests/core/test_runtime.py tests/core/test_training.py tests/core/attacks tests/test_benchmarks.py
# Where another build of PyTorch than the package index's comes from, see "CUDA" in the README.
TORCH_INDEX ?=

VENV := .venv
BIN := $(VENV)/bin
VENV_BENCH := .venv-bench
TORCH := $(shell sed -n '/^torch==/p' requirements.txt)
PIP := $(BIN)/python -m pip --disable-pip-version-check
# A stamp is newer than what it was made from; its name tells the index apart.
STAMP_TORCH := $(if $(TORCH_INDEX),$(VENV)/.torch-$(subst /,_,$(subst :,_,$(TORCH_INDEX))))
STAMP_RUN := $(VENV)/.requirements
STAMP_TEST := $(VENV)/.requirements-dev
STAMP_BENCH := $(VENV_BENCH)/.requirements

.PHONY: help run install test tests quick ordinary bench check format versions clean
.DEFAULT_GOAL := help

help:
	@echo "make run       start the app at http://localhost:$(PORT); installs what it needs first"
	@echo "make test      run all checks and tests; installs what they need first"
	@echo "make quick     run the tests that take least, in less than 90 s on two idle cores"
	@echo "make ordinary  run tests of training, attacks, pages and benchmarks as on a processor without matrix units"
	@echo "make bench     time Capsight beside its peers, in an environment of its own; wants an idle machine"
	@echo "make install   prepare .venv alone"
	@echo "make check     lint, types and import rules"
	@echo "make format    lay out the code, and fix what can be fixed"
	@echo "make versions  record the code of the steps after a change to it, see CONTRIBUTING.md"
	@echo "make clean     remove .venv, .venv-bench and the tools' caches"
	@echo
	@echo "Variables: PYTHON=$(PYTHON)  PORT=$(PORT)  TORCH_INDEX=URL  PYTEST=\"-k attack\""

run: install
	@echo "== Starting Capsight at http://localhost:$(PORT); Ctrl-C ends it"
	@$(BIN)/python -m streamlit run app/serve.py --server.port $(PORT)

install: $(STAMP_RUN)
	@echo "== $(VENV) is ready"

test: check tests

tests: $(STAMP_TEST)
	@first=0; second=0; \
	echo "== Tests, side by side"; \
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal -m "not alone" $(PYTEST) || first=$$?; \
	echo "== Tests that want the machine for themselves"; \
	$(BIN)/python -m pytest -m alone $(PYTEST) || second=$$?; \
	case "$$first $$second" in "0 0" | "0 5" | "5 0") ;; *) exit 1 ;; esac  # 5: PYTEST left none of one kind

quick: $(STAMP_TEST)
	@echo "== Quick tests, side by side"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal \
	  -m "not alone and not slow" $(PYTEST)

ordinary: $(STAMP_TEST)
	@echo "== Computing as on a processor without matrix units"
	@ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 $(MAKE) --no-print-directory tests PYTEST="$(or $(PYTEST),$(ORDINARY))"

bench: $(STAMP_BENCH)
	@echo "== Benchmarks"
	@$(VENV_BENCH)/bin/python -m benchmarks $(BENCH)

check: $(STAMP_TEST)
	@echo "== Lint: ruff check"
	@$(BIN)/ruff check .
	@echo "== Layout: ruff format"
	@$(BIN)/ruff format --check .
	@echo "== Types: pyright"
	@PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright
	@echo "== Imports: import-linter"
	@$(BIN)/lint-imports --no-logo

format: $(STAMP_TEST)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

versions: $(STAMP_RUN)
	@$(BIN)/python tests/precompute/step_versions.py

clean:
	@echo "== Removing $(VENV) and caches"
	@rm -rf $(VENV) $(VENV_BENCH) .pytest_cache .ruff_cache .import_linter_cache
	@find app core precompute tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

%/bin/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "Error: expected Python 3.11 or newer as $(PYTHON), found none; install it or name one: make PYTHON=/path/to/python3" >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Error: expected Python 3.11 or newer, got $$($(PYTHON) --version); name another: make PYTHON=/path/to/python3" >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "Error: expected a Python that can make environments, but $(PYTHON) has no venv and ensurepip;" \
	    "on Debian and Ubuntu: sudo apt-get install python3-venv" >&2; \
	  exit 1; }
	@echo "== Making $* with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $* || { rm -rf $*; exit 1; }

ifneq ($(TORCH_INDEX),)
$(STAMP_TORCH): requirements.txt | $(BIN)/python
	@echo "== Installing $(TORCH) from $(TORCH_INDEX)"
	@$(PIP) install --force-reinstall --index-url $(TORCH_INDEX) $(TORCH)
	@rm -f $(VENV)/.torch-* && touch $@
endif

$(STAMP_RUN): requirements.txt $(STAMP_TORCH) | $(BIN)/python
	@echo "== Installing requirements.txt"
	@$(PIP) install --requirement requirements.txt
	@touch $@

$(STAMP_TEST): requirements-dev.txt $(STAMP_RUN)
	@echo "== Installing requirements-dev.txt"
	@$(PIP) install --requirement requirements-dev.txt
	@touch $@

$(STAMP_BENCH): benchmarks/requirements.txt | $(VENV_BENCH)/bin/python
	@echo "== Installing benchmarks/requirements.txt"
	@$(VENV_BENCH)/bin/python -m pip --disable-pip-version-check install --no-deps --requirement benchmarks/requirements.txt
	@touch $@

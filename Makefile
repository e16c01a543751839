# Two commands for a newcomer: `make demo` and `make test`. The rest serves those who work on the package.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup demo test test-slow lint bench clean

setup: $(STAMP)

# torch comes first and by itself: the constraints pin a release, and an index may offer a far larger build
# to a request that names none.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $(STAMP)

demo: setup
	$(BIN)/attnseq demo

# Two processes of tests, as many as the machines have cores that they are timed on; a file's tests stay together.
# pytest-timeout stops Python alone. A test that hangs below it ends its process, which tells its name and its stack.
HUNG := -o faulthandler_timeout=660 -o faulthandler_exit_on_timeout=true --max-worker-restart=0

test: setup lint
	$(BIN)/python -m pytest -n 2 --dist loadfile $(HUNG)

test-slow: setup
	$(BIN)/python -m pytest -m slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_imports.py

bench: setup
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache

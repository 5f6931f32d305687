# What a newcomer needs: `make demo`, `make test`. Everything is installed into .venv; a second call is quick.

PYTHON ?= python3
BIN = .venv/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-full bench results clean

demo: .venv/installed
	$(BIN)/deepclassics run lenet5
	@echo "The report is in $$($(BIN)/deepclassics report runs/lenet5)"

test: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

test-full: .venv/installed-dev
	$(BIN)/pytest -m "long or not long"

# Three quarters of an hour on two cores that have nothing else to do; what is not installed is named and left out.
bench: .venv/installed-bench
	$(BIN)/python benchmarks/speed.py --write benchmarks/speed.md
	$(BIN)/python benchmarks/language.py --write benchmarks/language.md
	$(BIN)/python benchmarks/cells.py --rounds 3 --write benchmarks/cells.md
	$(BIN)/python benchmarks/cbow.py
	$(BIN)/python benchmarks/ngram.py
	$(BIN)/python benchmarks/decoding.py
	$(BIN)/python benchmarks/augmentation.py

results: .venv/installed
	$(BIN)/python benchmarks/results.py

.venv/created:
	$(PYTHON) -m venv .venv
	touch $@

.venv/installed: .venv/created pyproject.toml
	$(PIP) -e .
	touch $@

.venv/installed-dev: .venv/created pyproject.toml
	$(PIP) -e ".[dev]"
	touch $@ .venv/installed

.venv/installed-bench: .venv/created pyproject.toml
	$(PIP) -e ".[bench]"
	touch $@ .venv/installed

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis

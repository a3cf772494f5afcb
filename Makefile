# Needs Python >= 3.10 with pip; makes its own virtual environment.
PYTHON ?= python3
VENV ?= .venv
# For instance: make test PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_FLAGS ?=
BIN := $(VENV)/bin

MINUTES ?= 10

.PHONY: install demo screenshots test fuzz hostile gpu-train check format clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) --editable '.[test]'
	touch $@

demo: install  ## restore the sample photos; pictures in demo/
	$(BIN)/python samples/demo.py demo

screenshots: install  ## the pictures in docs/pictures, in Debian's chromium
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) playwright
	$(BIN)/python -m samples.screenshots docs/pictures

test: install  ## the whole suite, by two processes, each a file at a time
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

fuzz: install  ## damaged image files for a minute or two
	FUZZ_EXAMPLES=2000 $(BIN)/python -m pytest tests/test_refusals.py -k any_bytes

hostile: install  ## cases that want to lose or spoil something; MINUTES=10
	$(BIN)/python samples/hostile.py --minutes $(MINUTES)

gpu-train: install  ## priors, and what enlarges; PHOTOS= and SCENES= folders, RUNS= for what comes of it
	$(BIN)/python samples/gpu_train.py $(PHOTOS) $(SCENES) $(RUNS) --minutes $(MINUTES)

$(VENV)/checks: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

check: $(VENV)/checks  ## style, types and import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/checks
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

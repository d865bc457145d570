PYTHON ?= python3
VENV := .venv
CLIENTS := .venv-clients
INSTALLED := $(VENV)/.installed

.PHONY: search test coverage mutants test-slow test-cluster clients lint docs clean

# Workers share the cores. More of them would leave the agent few results to learn from, of 60.
search: $(INSTALLED)  ## search on scikit-learn's digits, and leave a run folder
	cores=$$(getconf _NPROCESSORS_ONLN); PYTHONDONTWRITEBYTECODE= $(VENV)/bin/nas-gym search \
		nas_gym/NASNet-v0 --device cpu --workers $$((cores < 8 ? cores : 8))

# The tests start processes, which import from byte code in half the time.
test: $(INSTALLED)  ## run the tests
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(VENV)/bin/python -m pytest -n auto

coverage: $(INSTALLED)  ## run the tests, and name the lines and branches that none of them reaches
	$(VENV)/bin/coverage erase
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(VENV)/bin/coverage run -m pytest -n auto
	$(VENV)/bin/coverage combine --quiet
	$(VENV)/bin/coverage report

mutants: $(INSTALLED)  ## change the core in many small ways, and name the changes no test notices
	OMP_NUM_THREADS=1 $(VENV)/bin/mutmut run --max-children $$(getconf _NPROCESSORS_ONLN)
	$(VENV)/bin/mutmut results

test-slow: $(INSTALLED)  ## run the tests that take seconds each, or go through all families
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(VENV)/bin/python -m pytest -n auto -m slow

test-cluster: $(INSTALLED)  ## run the tests on a Ray cluster of this machine, one by one
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -m cluster

clients: $(CLIENTS)/.installed  ## train agents of other libraries, which need packages of their own
	OMP_NUM_THREADS=1 $(CLIENTS)/bin/python -m pytest -m clients tests/clients

lint: $(INSTALLED)  ## check style, types and layers
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

docs: $(INSTALLED)  ## build the site in build/site; a warning or a broken link is an error
	OMP_NUM_THREADS=1 $(VENV)/bin/sphinx-build -W --keep-going -q docs build/site

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --editable ".[dev]"
	touch $@

$(CLIENTS)/.installed: pyproject.toml
	$(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/python -m pip install --quiet --editable ".[clients]"
	$(CLIENTS)/bin/python -m pip install --quiet --no-deps d3rlpy  # it pins an older Gymnasium
	touch $@

clean:
	rm -rf $(VENV) $(CLIENTS) .mypy_cache .pytest_cache .ruff_cache build *.egg-info

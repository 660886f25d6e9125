# Everything runs in environments of its own below .venv, made when first needed:
#   .venv/airflow3   the newest Airflow 3, with the linters
#   .venv/airflow2   Airflow 2.11
#   .venv/python312  the newest Airflow 3 on Python 3.12
#   .venv/python313  and on Python 3.13
#   .venv/bench      the libraries that the benchmarks measure beside ours
#   .venv/matrix     the libraries that the matrix compares with; .venv/matrix-singer one that bears no company
# Only Python 3.11 or newer and make have to be there. Airflow 2.11 runs on Python 3.11 and 3.12: with a newer
# PYTHON a python3.12 or python3.11 on the PATH is taken for it. What is for Python 3.12 or 3.13 takes it from the
# PATH or from pyenv.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
PYENV_ROOT ?= $(HOME)/.pyenv
PYTEST_ARGS ?=
DEMO_ARGS ?=

# What the caller's shell says about Python and Airflow is not about these environments.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONWARNINGS PYTEST_ADDOPTS VIRTUAL_ENV
unexport PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV UV_PYTHON UV_SYSTEM_PYTHON
$(foreach name,$(filter AIRFLOW_%,$(.VARIABLES)),$(eval unexport $(name)))

# pip trusts the system's certificates; uv is told to.
UV_SYSTEM_CERTS ?= 1
export UV_SYSTEM_CERTS

AIRFLOW3 := .venv/airflow3
AIRFLOW2 := .venv/airflow2
BENCH := .venv/bench
MATRIX := .venv/matrix
MATRIX_SINGER := .venv/matrix-singer
UV := .venv/uv
# Two workers or more; a file's tests stay together, since they share a sandbox or a database.
PYTEST := -m pytest -n auto --dist loadfile
# The pure layers, and what comes of faults in them, know no Airflow, and both constraint files pin the same
# releases below them: once is enough.
WITHOUT_AIRFLOW := tests/apis tests/auth tests/client tests/faults tests/hooks/test_faults.py \
    tests/hooks/test_token_faults.py tests/model tests/sandbox tests/scale tests/sinks tests/transport \
    tests/hooks/test_windows.py tests/test_benchmarks.py tests/test_docs_errors.py tests/test_matrix.py \
    tests/test_settings.py tests/test_values.py
# What can differ from one Python to the next: what is imported when, locks, forks, threads, sockets and tracebacks, and
# a pull of each API. What takes longest begins first; the servers' stores and Airflow's own processes take too long.
OF_PYTHON := --no-loadscope-reorder tests/test_imports.py tests/runtime/test_door.py \
    tests/auth $(patsubst %,--ignore=tests/auth/stores/test_%.py,redis sql sql_faults) tests/client tests/transport \
    $(patsubst %,tests/hooks/test_%.py,ahead base landax luca oauth2api opcorporate talenom tradevest)

.PHONY: help
help: ## Say what there is to make
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/make \1\t\2/p' Makefile | expand -t 24

.PHONY: test
test: test3 test2 ## Run all tests, in the newest Airflow 3 and in Airflow 2.11

.PHONY: test3
test3: $(AIRFLOW3)/.made ## Run all tests in the newest Airflow 3
	$(AIRFLOW3)/bin/python $(PYTEST) $(PYTEST_ARGS)

.PHONY: test2
test2: $(AIRFLOW2)/.made ## Run the tests in Airflow 2.11, but for those that have nothing to do with Airflow
	$(AIRFLOW2)/bin/python $(PYTEST) $(addprefix --ignore=,$(WITHOUT_AIRFLOW)) $(PYTEST_ARGS)

.PHONY: test-pythons
test-pythons: test-python312 test-python313 ## Run the tests of what differs between Pythons in 3.12 and 3.13 (3 minutes)

.PHONY: test-pythons-whole
test-pythons-whole: OF_PYTHON :=
test-pythons-whole: test-python312 test-python313 ## Run all tests in Python 3.12 and 3.13 (20 minutes)

.PHONY: test-python312 test-python313
test-python312 test-python313: test-python%: .venv/python%/.made
	.venv/python$*/bin/python $(PYTEST) $(OF_PYTHON) $(PYTEST_ARGS)

.PHONY: lint
lint: $(AIRFLOW3)/.made ## Check style, formatting, types and layers
	$(AIRFLOW3)/bin/ruff check .
	$(AIRFLOW3)/bin/ruff format --check .
	$(AIRFLOW3)/bin/mypy
	$(AIRFLOW3)/bin/lint-imports
	$(AIRFLOW3)/bin/python -m tools.write_operators --check
	$(AIRFLOW3)/bin/python -m tools.count --check

.PHONY: format
format: $(AIRFLOW3)/.made ## Format the code and mend what can be mended by itself
	$(AIRFLOW3)/bin/ruff check --fix .
	$(AIRFLOW3)/bin/ruff format .

.PHONY: demo
demo: $(AIRFLOW3)/.made ## Run the example DAGs against the sandbox in an Airflow of their own
	$(AIRFLOW3)/bin/python -m demo.run $(DEMO_ARGS)

.PHONY: docs
docs: $(AIRFLOW3)/.made ## Write docs/connections.md, docs/resources.md and the table of docs/pulling.md
	$(AIRFLOW3)/bin/python tools/connection_docs.py > docs/connections.md.new
	mv docs/connections.md.new docs/connections.md
	$(AIRFLOW3)/bin/python -m tools.resource_docs

.PHONY: operators
operators: $(AIRFLOW3)/.made ## Write operators/ from what apis/ declares
	$(AIRFLOW3)/bin/python -m tools.write_operators

.PHONY: bench
bench: $(BENCH)/.made $(MATRIX_SINGER)/.made ## Measure pulls and calls beside other libraries', and write docs/benchmarks.md (18 minutes)
	$(BENCH)/bin/python -m benchmarks.speed --output docs/benchmarks.md

.PHONY: scale
scale: $(AIRFLOW3)/.made ## Pull 100,000 records of the sandbox by every way to page, and hold the memory to be flat (1 minute)
	FINAUTH_SCALE=100000 $(AIRFLOW3)/bin/python -m pytest tests/scale

.PHONY: soak
soak: $(AIRFLOW3)/.made ## Kill processes at every step of a refresh, a thousand times on each store; 200 mapped tasks (20 minutes)
	$(AIRFLOW3)/bin/python -m tests.faults.soak --kills 1000
	FINAUTH_MAPPED_TASKS=200 $(AIRFLOW3)/bin/python -m pytest tests/faults/test_airflow.py

.PHONY: model
model: $(AIRFLOW3)/.made ## Search the model of the token rules with three processes, and the code's schedules in full (7 minutes)
	$(AIRFLOW3)/bin/python -m tests.model
	FINAUTH_WHOLE_MODEL=1 $(AIRFLOW3)/bin/python -m pytest tests/model/test_schedules.py

.PHONY: nightly
nightly: test-pythons-whole scale model soak ## The long forms of the suites, one after the other (an hour)

.PHONY: check
check: lint ## The daily loop: lint, and the tests of the pure layers and of what is declared (3 minutes)
	$(AIRFLOW3)/bin/python $(PYTEST) tests/apis tests/client tests/transport tests/sinks tests/test_values.py \
	    tests/test_settings.py tests/operators/test_shape.py tests/hooks/test_listing.py tests/hooks/test_windows.py \
	    $(PYTEST_ARGS)

.PHONY: matrix
matrix: $(MATRIX)/.made $(MATRIX_SINGER)/.made ## Compare with other libraries, and write docs/matrix.md (6 minutes)
	$(MATRIX)/bin/python -m benchmarks.matrix --output docs/matrix.md

.PHONY: constraints
constraints: $(UV)/.made ## Pin today's releases in constraints/
	tools/make-constraints $(UV)/bin/uv constraints/airflow-3.txt 'apache-airflow>=3.2,<4'
	tools/make-constraints $(UV)/bin/uv constraints/airflow-2.11.txt 'apache-airflow>=2.11,<2.12'
	tools/make-constraints $(UV)/bin/uv constraints/bench.txt 'apache-airflow>=3.2,<4' benchmarks/peers.txt
	tools/make-constraints $(UV)/bin/uv constraints/matrix.txt 'apache-airflow>=3.2,<4' \
	    benchmarks/matrix/requirements.txt
	tools/make-constraints $(UV)/bin/uv constraints/matrix-singer.txt singer-sdk \
	    benchmarks/matrix/requirements-singer.txt

.PHONY: clean
clean: ## Remove the environments and everything else that was made
	rm -rf .venv .demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(AIRFLOW3)/.made: pyproject.toml constraints/airflow-3.txt tools/make-environment | $(UV)/.made
	tools/make-environment $(@D) constraints/airflow-3.txt test,lint 11-14 \
	    $(PYTHON) python3.13 python3.12 python3.11
	touch $@

$(AIRFLOW2)/.made: pyproject.toml constraints/airflow-2.11.txt tools/make-environment | $(UV)/.made
	tools/make-environment $(@D) constraints/airflow-2.11.txt test 11-12 \
	    $(PYTHON) python3.12 python3.11
	touch $@

.venv/python3%/.made: pyproject.toml constraints/airflow-3.txt tools/make-environment | $(UV)/.made
	tools/make-environment $(@D) constraints/airflow-3.txt test $* \
	    $(PYTHON) python3.$* $(wildcard $(PYENV_ROOT)/versions/3.$*.*/bin/python)
	touch $@

$(BENCH)/.made: pyproject.toml constraints/bench.txt benchmarks/peers.txt tools/make-environment | $(UV)/.made
	tools/make-environment $(@D) constraints/bench.txt benchmarks/peers.txt 11-13 \
	    $(PYTHON) python3.13 python3.12 python3.11
	touch $@

$(MATRIX)/.made: pyproject.toml constraints/matrix.txt benchmarks/matrix/requirements.txt tools/make-environment | $(UV)/.made
	tools/make-environment $(@D) constraints/matrix.txt benchmarks/matrix/requirements.txt 11-13 \
	    $(PYTHON) python3.13 python3.12 python3.11
	touch $@

$(MATRIX_SINGER)/.made: constraints/matrix-singer.txt benchmarks/matrix/requirements-singer.txt tools/make-environment | $(UV)/.made
	tools/make-environment $(@D) constraints/matrix-singer.txt benchmarks/matrix/requirements-singer.txt 11-13 \
	    $(PYTHON) python3.13 python3.12 python3.11
	touch $@

# Without uv the environments are still made, by pip.
$(UV)/.made:
	$(PYTHON) -m venv --clear $(@D) && $(@D)/bin/python -m pip install --quiet --disable-pip-version-check uv \
	    || echo "uv is not to be had"
	mkdir -p $(@D) && touch $@

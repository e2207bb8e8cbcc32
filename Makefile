# The same commands that README and CI use. On a fresh machine each of them installs what it needs first.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
LOCKS := requirements.lock requirements-dev.lock requirements-torch.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: install help demo test check fmt lint test-services chaos bench lock sbom clean

install: $(STAMP)  ## install everything into .venv, in the versions of the locks

help:  ## list these targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

demo: $(STAMP)  ## run a small campaign and a small scheduling service
	$(BIN)/proctor demo

# One process runs the tests that start Ray in turn, while the other begins with everything else (tests/conftest.py).
test: $(STAMP)  ## run all tests, on two cores
	$(BIN)/pytest --numprocesses 2 --dist loadscope

check: lint  ## lint, then the tests that take seconds in all
	$(BIN)/pytest --numprocesses 2 --dist loadscope -q -m "not slow and not ray and not cluster"

fmt: $(STAMP)  ## format the code and apply the safe fixes of the linter
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lint: $(STAMP)  ## check style, format and types of packages, client, benchmarks and tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The same contracts on a real PostgreSQL server and an S3 endpoint, both started on loopback; then clusters and chaos.
test-services: $(STAMP)  ## run the tests that need PostgreSQL, S3, several nodes or chaos
	$(BIN)/python -m tests.services.run -q
	$(BIN)/pytest -q -m cluster tests/cluster tests/chaos

chaos: $(STAMP)  ## put random faults, from kill -9 to full disks, on a real service and on campaigns (minutes)
	$(BIN)/python -m benchmarks.chaos --seed 1

bench: $(STAMP)  ## measure the kill tests
	$(BIN)/python -m benchmarks.kill_tests

# Every package is pinned with its hashes; `--no-deps` makes sure that nothing else is installed. Only torch, whose
# builds differ from machine to machine, is resolved, after everything that it shares with the locks is in place.
$(STAMP): $(LOCKS) pyproject.toml client/pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -qq --require-hashes --no-deps -r requirements.lock -r requirements-dev.lock
	$(BIN)/python -m pip install -qq -r requirements-torch.txt
	$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable . --editable client
	$(BIN)/python -m pip check
	touch $(STAMP)

# CycloneDX. The first file has what `pip install` of the run-time lock brings, with hashes; the second has what is installed
# here, torch and the development tools included, with licences.
sbom: $(STAMP)  ## write the software bill of materials: sbom/run.cdx.json and sbom/installed.cdx.json
	mkdir -p sbom
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible -o sbom/run.cdx.json requirements.lock
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible -o sbom/installed.cdx.json .venv

# Needed after a change of the dependencies in pyproject.toml. Pins that still fit are kept; delete a lock to move them.
COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-header --no-emit-options \
  --annotation-style line --unsafe-package torch --unsafe-package pip --unsafe-package proctor
DEV_TOOLS := import tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
  print(*extras["dev"], sep="\n")
lock: $(STAMP)  ## resolve the dependencies of pyproject.toml into the two locks
	$(COMPILE) --extra all --constraint requirements-torch.txt --output-file requirements.lock pyproject.toml
	$(BIN)/python -c '$(DEV_TOOLS)' | $(COMPILE) --constraint requirements.lock --output-file requirements-dev.lock -
	sed -i '/^# WARNING: The following packages were not pinned/,$$d' requirements.lock requirements-dev.lock

clean:  ## remove the environment and all caches
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache

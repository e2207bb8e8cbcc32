# The same commands that README and CI use. On a fresh machine `make demo` and `make test` do all set-up.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-services chaos lint bench lock clean

demo: $(STAMP)
	$(BIN)/proctor demo

test: $(STAMP)
	$(BIN)/pytest

# The same contracts on a real PostgreSQL server and an S3 endpoint, both started on loopback; then clusters and chaos.
test-services: $(STAMP)
	$(BIN)/python tests/services/run.py -q
	$(BIN)/pytest -q -m cluster tests/cluster tests/chaos

# Random faults, from kill -9 to full disks, on a real service and on campaigns; minutes.
chaos: $(STAMP)
	$(BIN)/python -m benchmarks.chaos --seed 1

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python -m benchmarks.kill_tests

# The lock pins every package; a set-up from it is the same everywhere.
$(STAMP): requirements.lock pyproject.toml client/pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -qq --requirement requirements.lock
	$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable . --editable client
	touch $(STAMP)

# Resolve anew (only when pyproject.toml changes its dependencies). The local build tag of torch is cut:
# the version is what is pinned, the build is the machine's choice.
lock: $(STAMP)
	$(BIN)/python -m pip install --quiet pip-tools
	echo "torch==2.13.0" > .venv/constraints.txt
	$(BIN)/pip-compile --quiet --extra dev --constraint .venv/constraints.txt --allow-unsafe --strip-extras \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header --annotation-style line \
	  --output-file requirements.lock pyproject.toml
	sed -i -e 's/==\([0-9.]*\)+cpu/==\1/' -e 's#-c .venv/constraints.txt, ##' requirements.lock

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache

# Two commands matter: `make demo` shows it working, `make test` proves it. `make drills` (some three hours, LONG_RUN_MINUTES=10
# makes it one) breaks things on purpose and watches; `make drills ONLY=HighErrorRate` has some of them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
BACKEND ?= prometheus,datadog
READY := $(VENV)/.ready

.PHONY: demo test drills bench lint docs audit lock clean

$(READY): pyproject.toml hatch_build.py $(wildcard lock/*.txt) $(wildcard otel_accubooks/*/_*.c)
	@echo "Making the environment in $(VENV) (about a minute)"
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { [ "$$(id -u)" = 0 ] && \
	  echo "Installing Python's venv module (apt-get install python3-venv)" && \
	  apt-get update -qq && apt-get install -qq -y python3-venv; } || \
	  { echo "Python's venv module is missing: sudo apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --require-hashes -r lock/build.txt
	@$(PIP) --require-hashes --no-build-isolation -r lock/tests.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $(READY)

demo: $(READY)
	@$(BIN)/python -m otel_accubooks.stack.prerequisites
	@$(BIN)/otel-accubooks demo --backend "$(BACKEND)" $(if $(KEEP),--keep)

test: $(READY)
	@$(BIN)/python -m otel_accubooks.stack.prerequisites tests
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

# Their files are not named as tests are, so that `make test` leaves them out. The second ones measure: one at a time.
# pytest's 5 is "none of that name": right of one folder, wrong of both.
DRILLS := -o python_files="*_drills.py" --timeout 1800 $(if $(ONLY),-k "$(ONLY)")
drills: $(READY)
	@$(BIN)/python -m otel_accubooks.stack.prerequisites
	@first=0; $(BIN)/python -m pytest tests/drills $(DRILLS) -n 3 --dist loadfile --no-loadscope-reorder || first=$$?; \
	  [ $$first = 0 ] || [ $$first = 5 ] || exit $$first; \
	  second=0; $(BIN)/python -m pytest tests/reliability $(DRILLS) || second=$$?; \
	  [ $$first$$second != 55 ] || { echo 'No drill is called "$(ONLY)", expected an alert or a word of tests/reliability'; exit 1; }; \
	  [ $$second = 5 ] || exit $$second

# Beside the peers, which it installs: an hour and more. `make bench ONLY="starting growth"` has some of it.
bench: $(READY)
	@$(BIN)/python -m otel_accubooks.stack.prerequisites tests
	@$(PIP) "matplotlib>=3.9"
	@$(BIN)/python -m tests.benchmarks $(ONLY)

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: $(READY)
	@$(BIN)/python -m otel_accubooks.cli.reference .

# Known vulnerabilities of what is locked and linked, and whether Go's modules are those of go.sum.
audit: $(READY)
	@$(BIN)/python -m tests.audit

# Anew from pyproject.toml and requirements-dev.txt, in the newest versions; without --upgrade the locked ones stay where they fit.
lock: $(READY)
	@$(BIN)/python -m tests.audit.lock --upgrade

clean:
	rm -rf $(VENV) build dist

# Two commands matter: `make demo` shows it working, `make test` proves it. `make drills` (ten minutes or more) breaks
# things on purpose and watches the alerts; `make drills ONLY=HighErrorRate` has one of them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BACKEND ?= prometheus,datadog
READY := $(VENV)/.ready

.PHONY: demo test drills bench lint docs clean

$(READY): pyproject.toml requirements-dev.txt hatch_build.py $(wildcard otel_accubooks/*/_*.c)
	@echo "Making the environment in $(VENV) (about a minute)"
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { [ "$$(id -u)" = 0 ] && \
	  echo "Installing Python's venv module (apt-get install python3-venv)" && \
	  apt-get update -qq && apt-get install -qq -y python3-venv; } || \
	  { echo "Python's venv module is missing: sudo apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $(READY)

demo: $(READY)
	@$(BIN)/python -m otel_accubooks.stack.prerequisites
	@$(BIN)/otel-accubooks demo --backend "$(BACKEND)" $(if $(KEEP),--keep)

test: $(READY)
	@$(BIN)/python -m otel_accubooks.stack.prerequisites tests
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

# Their files are not named as tests are, so that `make test` leaves them out. The first takes the longest.
drills: $(READY)
	@$(BIN)/python -m otel_accubooks.stack.prerequisites
	@$(BIN)/python -m pytest tests/drills tests/reliability -o python_files="*_drills.py" -n 3 --dist loadfile \
	  --no-loadscope-reorder --timeout 1800 $(if $(ONLY),-k "$(ONLY)")

# Beside the peers, which it installs: an hour and more. `make bench ONLY="starting growth"` has some of it.
bench: $(READY)
	@$(BIN)/python -m otel_accubooks.stack.prerequisites tests
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt "matplotlib>=3.9"
	@$(BIN)/python -m tests.benchmarks $(ONLY)

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: $(READY)
	@$(BIN)/python -m otel_accubooks.cli.reference .

clean:
	rm -rf $(VENV) build dist

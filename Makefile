# `make run` runs the panel, `make test` checks everything. Both set up what they need.
PYTHON ?= python3
SETUP := $(PYTHON) -I controlpanel/supervisor/environment.py
COMPILE := .venv/bin/uv pip compile --quiet --no-header --no-emit-index-url --generate-hashes \
	--universal --python-version 3.11

.PHONY: run test test-unit lint format bench lab lab-down lock vendor clean

run:
	@exec $(SETUP) python manage.py up

test:
	@exec $(SETUP) --dev python -m tests.run

test-unit:
	@exec $(SETUP) --dev python -m tests.run unit

lint:
	@exec $(SETUP) --dev python -m tests.run lint types imports dependencies

format:
	@$(SETUP) --dev ruff check --fix --quiet .
	@.venv/bin/ruff format .
	@.venv/bin/python -m tests.run --format-templates

bench:
	@exec $(SETUP) --dev python benchmarks/run.py

# A real Swarm of five nodes with the reference stack; `make lab ENGINE=28` takes a newer engine.
lab:
	@exec $(SETUP) python -m lab up $(if $(ENGINE),--engine $(ENGINE))

lab-down:
	@exec $(SETUP) python -m lab down

# Locks again, keeping the versions that still fit; `make lock UPGRADE=--upgrade` takes newer ones.
lock:
	$(COMPILE) $(UPGRADE) --group installer --output-file requirements-uv.txt
	$(COMPILE) $(UPGRADE) pyproject.toml --extra embedded --output-file requirements.txt
	$(COMPILE) $(UPGRADE) pyproject.toml --constraint requirements.txt \
		--output-file deploy/requirements.txt
	$(COMPILE) $(UPGRADE) pyproject.toml --extra embedded --group dev \
		--constraint requirements.txt --output-file requirements-dev.txt

vendor:
	@exec $(PYTHON) deploy/vendor.py

clean:
	rm -rf staticfiles .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

# Which Python makes .venv; everything else runs with the one in there.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help install install-dev demo up stack demo-check test unit images e2e lint types style format bench schema clean

help: ## What can be done here
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: ## Make .venv from requirements.lock (done by the targets below)
	@$(PYTHON) deploy/bootstrap.py requirements.lock

install-dev:
	@$(PYTHON) deploy/bootstrap.py requirements-dev.lock

demo: install ## Real models, traffic and releases in one terminal; Ctrl-C stops everything
	@$(RUN) manage.py demo

up: install ## The same without demo data
	@$(RUN) manage.py up

stack: install ## The production stack without containers: PostgreSQL, Redis, Prometheus, Celery workers
	@SLIPWAY_HOME=$${SLIPWAY_HOME:-.slipway-stack} $(RUN) manage.py stack

demo-check: install ## The demo without a browser: does every release end as it should?
	@$(RUN) -m deploy.demo.check

test: install-dev ## Every test; installs the Debian packages it needs when it may
	@sh .ci/packages
	@$(RUN) -m pytest -q -n 2 -m "not stack"
	@$(RUN) -m pytest -q -n 2 -p tests.longest_first --no-loadscope-reorder -m stack

unit: install-dev ## The quick tests: what is pure, and rollouts on SQLite; no Debian package needed
	@$(RUN) -m pytest -q -n 2 registry/tests/domain monitoring/tests/domain rollouts/tests -m "not stack"

images: install-dev ## Build the images with buildah on a base of debootstrap's, and run them (minutes, as root)
	@SLIPWAY_IMAGES=1 $(RUN) -m pytest -q -n 0 -s tests/production/test_images.py

e2e: install-dev ## Rollouts on the cluster that KUBECONFIG names (docs/kubernetes.md); skips without one
	@SLIPWAY_E2E=1 $(RUN) -m pytest -q -n 0 tests/e2e

lint: install-dev ## Style, types, layers, migrations, settings, the API schema
	@$(MAKE) --no-print-directory --jobs=2 --output-sync types style

types:
	@$(RUN) -m mypy --no-incremental controlplane registry monitoring rollouts deploy

style:
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(VENV)/bin/lint-imports --no-cache > .lint-imports.log 2>&1 || { cat .lint-imports.log; exit 1; }; rm -f .lint-imports.log
	@$(RUN) manage.py makemigrations --check --dry-run
	@$(RUN) manage.py check --fail-level WARNING
	@$(RUN) manage.py spectacular --validate --fail-on-warn --file /dev/null

format: install-dev ## Put the code into the one style
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

bench: install-dev ## Every benchmark, each beside its peer
	@for script in benchmarks/*/run.py; do echo "== $$script"; $(RUN) "$$script" || exit 1; done

schema: install ## The OpenAPI schema on standard output
	@$(RUN) manage.py spectacular --validate

clean: ## Remove .venv and caches; keeps .slipway
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# All that a person types. `make help` lists the targets; each is one or two commands that can be run by hand too.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PY := .venv/bin/python
# The machine's own Python if it is new enough, else the newest that is there. Trying each one out matters: a shim
# of a version manager may exist and not run.
FIND_PYTHON = for name in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$name"; exit 0; }; done; \
	echo "Python 3.11 or newer is needed, and none was found on the PATH." >&2; exit 1
INSTALL = python=$$($(FIND_PYTHON)) && "$$python" -m offstreet.runtime.install

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z-]*:.*## / {printf "  make %-14s %s\n", $$1, $$2} /^## / {printf "\n%s\n", substr($$0, 4)}' $(MAKEFILE_LIST)

## Run it

.PHONY: demo
demo: base ## Run the whole product here: web, worker, broker, sandbox (PORT=8000, PASSPORT_BASE_URL=)
	@exec $(PY) -m offstreet.runtime.demo --end-with-parent

.PHONY: run-worker
run-worker: base ## Run one more worker, beside a running demo or with the environment's settings
	@exec $(PY) -m celery -A offstreet worker --pool threads --hostname "extra-$$$$@%h" \
		--without-gossip --without-mingle --without-heartbeat

## Test it

.PHONY: test
test: dev provision ## Check and test everything
	@$(PY) -m tests.run

.PHONY: unit
unit: dev ## Run the unit tests
	@$(PY) -m tests.run unit

.PHONY: pages
pages: dev ## Run the tests of whole pages, without a browser
	@$(PY) -m tests.run pages

.PHONY: postgres
postgres: dev provision ## Run the tests that use the database on PostgreSQL too
	@$(PY) -m tests.run postgres

.PHONY: flows
flows: dev provision ## Run whole stories on real processes
	@$(PY) -m tests.run flows

.PHONY: faults
faults: dev provision ## Run the fault tests and the long storm, with real kills (EDITS=100000 FAULTS=1000 FAULTS_SEED=1)
	@$(PY) -m tests.run faults
	@$(PY) -m tests.faults.storm --edits $(or $(EDITS),100000) --faults $(or $(FAULTS),1000) --seed $(or $(FAULTS_SEED),1)

.PHONY: browser
browser: dev provision ## Run the browser tests
	@$(PY) -m tests.run browser

.PHONY: lint
lint: dev ## Check style, types, import rules, migrations and the production settings
	@$(PY) -m tests.run lint types imports migrations deploy

.PHONY: format
format: dev ## Format the code
	@$(PY) -m ruff check --fix --quiet . ; $(PY) -m ruff format .

## Measure it

.PHONY: bench
bench: dev provision ## Measure the delivery engine (BENCH="--quick", BENCH="--only throughput light", BENCH="--demo")
	@$(PY) -m benchmarks.run $(BENCH)

.PHONY: bench-pages
bench-pages: dev provision ## Measure every page on a million permits (BENCH="--rounds 50", BENCH="--fresh")
	@$(PY) -m benchmarks.pages $(BENCH)

.PHONY: screenshots
screenshots: dev provision ## Retake the README's pictures from the seed
	@$(PY) -m benchmarks.screenshots

## Look after it

.PHONY: lock
lock: ## Compile requirements/*.txt from pyproject.toml (UPGRADE=1: with newer versions)
	@$(INSTALL) lock

.PHONY: sbom
sbom: dev ## List all components (CycloneDX) from the hashed lock in build/sbom.json
	@mkdir -p build && $(PY) -m cyclonedx_py requirements --output-reproducible --of JSON -o build/sbom.json requirements/base.txt

.PHONY: pin-images
pin-images: ## Write the digests of the images into Dockerfile and docker-compose.yml (needs Docker and its registry)
	@python=$$($(FIND_PYTHON)) && "$$python" -m offstreet.runtime.pin_images

.PHONY: messages
messages: dev ## Collect the texts to translate and compile what is translated (TO=de; needs gettext)
	@command -v msgfmt >/dev/null || { echo "gettext is needed: apt-get install gettext" >&2; exit 1; }
	@mkdir -p locale && ENVIRONMENT=test $(PY) manage.py makemessages --verbosity 1 --no-wrap \
		--locale $(or $(TO),de) --ignore '.venv/*' --ignore 'build/*' --ignore 'var/*' --ignore 'staticfiles/*' --ignore 'tests/*'
	@ENVIRONMENT=test $(PY) manage.py compilemessages --verbosity 0 --ignore '.venv/*'

.PHONY: base
base:
	@$(INSTALL) base

.PHONY: dev
dev:
	@$(INSTALL) dev

.PHONY: provision
provision: dev
	@$(PY) -m tests.provision

.PHONY: clean
clean: ## Remove everything that was built, and the demo's data
	rm -rf .venv var staticfiles build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# Needs only a Python from 3.11 to 3.14 with venv. Everything is installed into .venv, from requirements/dev.lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
PYTEST_ARGS ?=
BENCH_ARGS ?=
MUTANT_ARGS ?=
CAMPAIGN_ARGS ?=
# A script that builds and checks the image where there is no Docker engine; without one, docker is used.
CONTAINER_SMOKE ?= $(wildcard ../shared/tools/container_smoke.sh)
CONTAINER_ARGS := demo --state-dir /var/lib/bessai/demo
IMAGE := bessai-edge-gateway:smoke
HEALTHY := import urllib.request as u; u.urlopen("http://127.0.0.1:8000/health", timeout=2)
LOCK := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet $(LOCK_ARGS)
LOCK_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test coverage peers telemetry-campaign lint format bench chaos campaign power-loss spool-kills container mutants tables lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(STAMP) ## Run the gateway on three simulated batteries, on this machine
	$(BIN)/bessai demo

test: $(STAMP) peers ## Run every test (some of it: make chaos, or .venv/bin/pytest PATH)
	failed=0; \
	$(BIN)/pytest -m "not chaos" --numprocesses 3 --dist loadfile $(PYTEST_ARGS) || failed=1; \
	$(BIN)/pytest -m chaos $(PYTEST_ARGS) || failed=1; \
	exit $$failed

coverage: $(STAMP) ## Measure what the tests of supervision and of the guard cover: 95 % of each at least
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses 2 --dist loadfile tests/supervision tests/actors/safety $(PYTEST_ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=95 --include='supervision/*' --skip-covered
	$(BIN)/coverage report --fail-under=95 --include='actors/safety/*' --skip-covered

peers: ## Have the MQTT broker that the tests talk to (installs Debian's mosquitto where it may)
	@PATH="$$PATH:/usr/sbin" command -v mosquitto >/dev/null || \
	{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mosquitto; } || \
	{ echo "mosquitto is not there, and the tests of MQTT need it. Install it, for example: apt-get install mosquitto" >&2; exit 1; }

telemetry-campaign: $(STAMP) peers ## Kill the publisher and cut its connections for minutes, and count what arrives
	BESSAI_ROUNDS=20 $(BIN)/pytest -s tests/campaign $(PYTEST_ARGS)

chaos: $(STAMP) ## Break each part of the running gateway and judge it from the devices' side
	$(BIN)/pytest -m chaos $(PYTEST_ARGS)

power-loss: $(STAMP) ## Cut the power of a disk under the spool, and look what is on it (needs root)
	$(BIN)/python -m tests.actors.publisher.power_loss $(POWER_LOSS_ARGS)

spool-kills: $(STAMP) ## Kill the publisher 20 times under load, and count what arrived
	BESSAI_KILLS=20 $(BIN)/pytest -s tests/actors/publisher/test_kill.py $(PYTEST_ARGS)

campaign: $(STAMP) ## Break it at random 10,000 times (a quarter of an hour) and judge it (CAMPAIGN_ARGS=--help)
	$(BIN)/python -m bessai.campaign $(CAMPAIGN_ARGS)

lint: $(STAMP) ## Check style, types (mypy and pyright) and the layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(STAMP) ## Format the code and apply the safe fixes
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

bench: $(STAMP) ## Measure latencies, restarts and memory on this machine
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

tables: $(STAMP) ## Write the tables of docs/safety.md from the rules and the tests
	$(BIN)/python -m tests.actors.safety.rule_document --write

mutants: $(STAMP) ## Change the guard's code in hundreds of small ways: its tests must notice
	$(BIN)/python -m tests.mutants $(MUTANT_ARGS)

container: ## Build the image and run the simulated site in it, read-only and unprivileged
ifneq ($(CONTAINER_SMOKE),)
	$(CONTAINER_SMOKE) . 8000 -- $(CONTAINER_ARGS)
else
	docker build --tag $(IMAGE) .
	docker run --detach --rm --name bessai-smoke --read-only --tmpfs /tmp:size=64m --cap-drop ALL \
	  --security-opt no-new-privileges --memory 768m --publish 127.0.0.1:18080:8000 $(IMAGE) $(CONTAINER_ARGS)
	@trap 'docker stop --time 15 bessai-smoke >/dev/null' EXIT; for i in $$(seq 60); do \
	  docker exec bessai-smoke python -c '$(HEALTHY)' 2>/dev/null && echo "the container is healthy" && exit 0; sleep 1; \
	  done; docker logs --tail 50 bessai-smoke; echo "the container did not become healthy within 60 s" >&2; exit 1
endif

lock: $(STAMP) ## Resolve the dependencies again into requirements/ (LOCK_ARGS=--upgrade for newer ones)
	$(LOCK) pyproject.toml --output-file requirements/runtime.lock
	$(LOCK) pyproject.toml --group dev --output-file requirements/dev.lock
	$(LOCK) --group build --output-file requirements/build.lock
	$(LOCK) requirements/peers.in --output-file requirements/peers.lock

clean: ## Remove what the other targets made, except .venv and .venv-peers
	rm -rf build dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find actors bessai supervision tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(STAMP): requirements/dev.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) is not there. Install a Python from 3.11 to 3.14, for example: apt-get install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || { \
	  echo "$$($(PYTHON) --version) will not do. Name a Python from 3.11 to 3.14, for example: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) has no venv module. Install it, for example: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

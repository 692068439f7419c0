# Two commands on a fresh machine: `make demo` and `make test`. Everything lands in $(VENV) and .demo/.
VENV ?= .venv
PYTHON := $(VENV)/bin/python
# What the demo and the tests publish stays on this machine.
export ROS_AUTOMATIC_DISCOVERY_RANGE := LOCALHOST

.PHONY: help demo test lint env lint-env clean

help:
	@echo 'make demo             prune a small detector, fly the ladder as a real ROS 2 node, write a report'
	@echo 'make demo DATA=DIR    the same on real data (DIR holds hit_uav/ and telemetry/)'
	@echo 'make test             the whole test suite'
	@echo 'make lint             ruff, mypy, import-linter'
	@echo 'make clean            remove what the demo built (the environment stays)'

env:
	@bash .ci/environment/bootstrap.sh $(VENV)

demo: env
	@$(PYTHON) -m uav_prune_perception.demo $(if $(DATA),--data $(DATA)) $(DEMO_ARGS)

test: env
	@$(PYTHON) -m pytest $(TEST_ARGS)

lint-env:
	@bash .ci/environment/bootstrap.sh $(VENV) --dev

lint: lint-env
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m mypy
	@$(VENV)/bin/lint-imports

clean:
	rm -rf .demo

# Freshet. `make` alone prints the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Quick tests compute, so one worker for each of two cores; tests on a Kafka mostly wait, so two for each. They
# start whole services: with many workers these are slower than the tests' patience. Workers are given whole files.
QUICK_WORKERS ?= 2
KAFKA_WORKERS ?= 4
SPREAD := --dist loadfile --no-loadscope-reorder -n

.DEFAULT_GOAL := help
.PHONY: help setup demo stream check test coverage sim bench bench-peers bench-parts bench-latency bench-publish count-batch scale models late-labels intervals false-alarms faults readers screenshots images lock lock-images lock-schemas observability clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 18

setup: $(STAMP)  ## a virtual environment with the pinned packages

$(STAMP): requirements.lock pyproject.toml
	@echo "installing the pinned packages: one to five minutes, only once"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --progress-bar off --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## the main job, end to end, on a real Kafka: one to two minutes (ARGS=--stay keeps it running)
	$(BIN)/freshet demo $(ARGS)

stream: setup  ## your own data: make stream CSV=file.csv LABEL=column
	$(BIN)/freshet stream "$(CSV)" --label "$(LABEL)" $(ARGS)

check: setup  ## style, types, import contracts and all quick tests that need no broker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.schemas check
	$(BIN)/pytest -q $(SPREAD) $(QUICK_WORKERS) -m "not kafka and not e2e and not slow and not readers"

test: check  ## everything, with a real Kafka
	$(BIN)/pytest -q $(SPREAD) $(KAFKA_WORKERS) -m "(kafka or e2e or slow) and not faults and not images and not readers and not browser"

coverage: setup  ## which lines and branches the quick and the slow tests reach in this process; no Kafka
	$(BIN)/coverage run -m pytest -q -m "not kafka and not e2e and not readers"
	$(BIN)/coverage report

sim: setup  ## seeded runs of all services on a bus in memory: make sim SEED=7 STEPS=200000 (RUN=3: one run again)
	PYTHONPATH=tests $(BIN)/python -m support.simulation --seed "$(SEED)" --steps $(or $(STEPS),200000) $(if $(RUN),--run $(RUN))

bench: setup  ## CPU per event against the do-nothing loop, then latency, the cost at rest, from label to answer, profiles, each detector, and both engines of detection (ARGS for the first)
	PYTHONPATH=tests $(BIN)/python -m bench.bench_services $(ARGS)
	PYTHONPATH=tests $(BIN)/python -m bench.bench_latency
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/python -m bench.bench_publish
	PYTHONPATH=tests $(BIN)/python -m bench.bench_retraining
	PYTHONPATH=tests $(BIN)/python -m bench.bench_profile
	PYTHONPATH=tests $(BIN)/python -m bench.bench_detectors
	PYTHONPATH=tests $(BIN)/python -m bench.bench_engines

bench-publish: setup  ## from a published model, and from a label, to the first answer: each step in ms
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/python -m bench.bench_publish $(ARGS)

bench-peers: setup  ## the same topic answered by Freshet, Quix Streams, Bytewax and Faust: CPU per event
	PYTHONPATH=tests $(BIN)/python -m bench.bench_peers $(ARGS)

bench-parts: setup  ## CPU of the parts alone, without Kafka: codec, cores, and what a long history costs
	set -e; for part in codec ingestion inference registry history quality detectors drift profile retraining; do \
		echo "== $$part"; PYTHONPATH=tests $(BIN)/python -m bench.bench_$$part; done

count-batch: setup  ## functions and files that one batch of inference passes: what a reader has to follow (ARGS=list names them)
	PYTHONPATH=tests $(BIN)/python -m bench.count_batch $(ARGS)

bench-latency: setup  ## latency at four rates, and the CPU of every process at rest and at each rate
	PYTHONPATH=tests $(BIN)/python -m bench.bench_latency $(ARGS)

scale: setup  ## what partitions, transactions and events cost, checked at other loads: writes the tables in docs/scale.md (3 to 6 minutes)
	PYTHONPATH=tests $(BIN)/python -m bench.bench_scale $(ARGS)

models: setup  ## which models can be packed, and how exactly: writes the table in docs/models.md
	PYTHONPATH=tests:$(PYTHONPATH) OMP_NUM_THREADS=1 $(BIN)/python -m bench.model_matrix

late-labels: setup  ## labels seven days late with a faster clock: memory of the join (ARGS: how many predictions are open)
	PYTHONPATH=tests $(BIN)/python -m bench.late_labels $(ARGS)

intervals: setup  ## accuracy against how often a model is trained: make intervals TABLES="one.csv.gz:label two.csv:label"
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/python -m bench.publish_intervals $(TABLES)

false-alarms: setup  ## how often detectors cry wolf, and how late they are: writes the tables in docs/detectors.md (STREAMS: CSV files)
	PYTHONPATH=tests $(BIN)/python -m bench.false_alarms
	PYTHONPATH=tests $(BIN)/python -m bench.false_input_alarms $(STREAMS)

faults: setup  ## the long runs: every service and the broker are killed in every way, then verify; tables of all kinds, every single right; an hour or more
	$(BIN)/pytest -q -s -m faults tests/faults tests/e2e tests/integration tests/property

PIN := $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-trusted-host

# Extras that name other extras make pip-compile pin Freshet itself, by its folder: that line and its warning go.
NOT_OURSELVES := sed -i.with -e '/^freshet @/d' -e '/^\# WARNING: pip install/d' -e '/^\# Consider using a hashable URL/d'

readers: setup  ## other tools, each installed for it: the examples of docs/readers.md, a real schema registry, a Rust and a Java client
	$(BIN)/pytest -q -m readers tests/clients

screenshots: setup  ## the console's pages in a Chromium, on a real Kafka: writes the pictures in docs/images
	FRESHET_SCREENSHOTS=docs/images $(BIN)/pytest -q -m browser tests/e2e

images: setup  ## the steps of each image, carried out in an empty folder, and the service started from it
	$(BIN)/pytest -q -m images tests/deployment

lock: setup  ## pin the newest packages that pyproject.toml allows
	$(PIN) --upgrade --extra inference --extra registry --extra pack --extra demo --extra faust --extra tables --extra notebook --extra console --extra gateway --extra dev \
		--output-file requirements.lock pyproject.toml
	$(NOT_OURSELVES) requirements.lock && rm requirements.lock.with

lock-images: setup  ## pin what each service's image holds: the versions of requirements.lock, as far as it needs them
	$(PIN) --constraint requirements.lock --only-build-deps --build-deps-for wheel --output-file docker/locks/build.lock pyproject.toml
	set -e; for service in ingestion inference registry drift retraining console gateway webhook subjects; do \
		$(PIN) --constraint requirements.lock --extra $$service --output-file docker/locks/$$service.lock pyproject.toml; done
	$(NOT_OURSELVES) docker/locks/*.lock && rm docker/locks/*.with

observability: setup  ## write alerts, the dashboard and the pages of docs/ that follow from the catalogues
	$(BIN)/python -m tools.observability

lock-schemas: setup  ## release changed schemas: next version and id, kept for ever
	$(BIN)/python -m tools.schemas lock

clean:  ## remove the environment and everything under .local
	-$(BIN)/freshet local wipe --yes
	rm -rf $(VENV) .local

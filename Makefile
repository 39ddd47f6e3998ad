# vm4-producer. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help deps binary demo deb dist test test-system soak bench sanitize fidelity figures lint advisories
.PHONY: setup build up run-once logs ps down restart doctor compose-demo

CARGO ?= cargo

# What the build needs beside the Rust toolchain, gcc and make, as Debian names it: cmake and g++
# build librdkafka, which links the system's OpenSSL and zlib.
BUILD_PACKAGES := ca-certificates cmake g++ libssl-dev pkg-config zlib1g-dev

# Debian's compiler flags, and what a package is made with.
DEB_PACKAGES := dpkg-dev

# The shells whose completion is tested.
TEST_PACKAGES := bash fish zsh

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | \
		while IFS=$$'\t' read -r target text; do printf '  %-12s %s\n' "$$target" "$$text"; done

deps: ## Install what the build needs, where it is missing (Debian; root or sudo)
	@packaging/install-packages $(BUILD_PACKAGES) $(DEB_PACKAGES)

binary: deps ## Build the program: target/package/release/vm4-producer
	@CARGO="$(CARGO)" packaging/build-program

demo: binary ## Build, send five pairs to an embedded broker, read them back, show them
	@target/package/release/vm4-producer demo

deb: deps ## Build the Debian package: target/debian/vm4-producer_VERSION_ARCH.deb
	@CARGO="$(CARGO)" packaging/build-deb

dist: deps ## Build what a release offers: target/dist has a tarball for any Linux, the package, and SHA256SUMS
	@packaging/install-packages binutils
	@CARGO="$(CARGO)" packaging/build-dist

test: deps ## Build and pass the hermetic tests (embedded broker; no root)
	@packaging/install-packages $(TEST_PACKAGES)
	$(CARGO) test --locked -- --test-threads=8 # they wait for the program more than they compute

test-system: deps ## Test against the real parts (Apache Kafka, systemd, Docker); root. SKIP="part ..." leaves parts out
	@CARGO="$(CARGO)" SKIP="$(SKIP)" tests/system/run

soak: deps ## Test hundreds of runs against three brokers whose leaders move, and all error codes; root
	@CARGO="$(CARGO)" tests/system/run soak

figures: deps ## Draw the figures of docs/workload.md anew. TRACES=DIR asks the classifier anew (Python from PyPI)
	$(if $(TRACES),$(classify))
	$(if $(TRACES),cp $(FIDELITY)/discriminator.csv docs/figures/)
	$(CARGO) build --locked --bins --example figures
	$(CARGO) run --locked --example figures

# With BROKER=kafka the bench starts an Apache Kafka from the jars of the system tests, and has two more
# clients: Kafka's own tool from them, and a loop in Python (PyPI).
BENCH := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/vm4-producer-bench
CONFLUENT_KAFKA := confluent-kafka==2.16.1
define with_kafka
	packaging/install-packages default-jre-headless maven python3-venv
	mvn -q -B -f tests/system/broker/pom.xml dependency:copy-dependencies -DincludeScope=runtime \
		-DoutputDirectory=$(BENCH)/kafka
	python3 -m venv $(BENCH)/python
	$(BENCH)/python/bin/pip install --quiet $(CONFLUENT_KAFKA)
endef
bench: deps ## Measure what an event and a record cost beside other clients. BROKER=kafka: real Kafka; KAFKA=host:port: there
	packaging/install-packages kcat python3-minimal util-linux
	$(if $(filter kafka,$(BROKER)),$(with_kafka))
	$(CARGO) bench --locked --bench generation
	$(CARGO) build --release --locked --bin vm4-producer --example mock_cluster
	benches/sending.py "$${CARGO_TARGET_DIR:-target}" $(if $(filter command environment,$(origin KAFKA)),--broker $(KAFKA)) \
		$(if $(filter kafka,$(BROKER)),--kafka $(BENCH)/kafka --python $(BENCH)/python/bin/python --svg docs/figures/cost.svg)

# Miri runs no C, and the sanitizers need a nightly toolchain, so valgrind watches the module that is not
# safe: what it reads, frees and leaks. It knows neither AVX-512 nor how much slower it is.
sanitize: deps ## Run the tests of the unsafe module under valgrind, leaks included
	packaging/install-packages valgrind
	binary=$$($(CARGO) test --locked --lib --no-run --message-format=json | \
		sed -n 's/.*"executable":"\([^"]*\)".*/\1/p') && \
		valgrind --quiet --error-exitcode=1 --leak-check=full --errors-for-leak-kinds=definite --show-leak-kinds=definite \
			--suppressions=tests/valgrind.supp "$$binary" kafka::native --test-threads=1

# What the classifier judges: hours of both Azure workloads, each hour with a seed of its own. On a
# Monday at 14:00 the rate is 1.505 (chat) and 2.040 (code) times the mean, so the gap is the trace's
# times that. EVERY=2 thins them as the trace was, if TRACES has every other row of it.
FIDELITY := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/vm4-producer-fidelity
HOURS ?= 1
EVERY ?= 1
define classify
	$(CARGO) build --release --locked --bin vm4-producer
	python3 -m venv $(FIDELITY)
	$(FIDELITY)/bin/pip install --quiet numpy==2.4.6 scikit-learn==1.9.1
	@echo "workload,hour,judged,auc" >$(FIDELITY)/discriminator.csv
	@for run in chat:conv:19366:0.2798 code:code:8819:0.8323; do for hour in $$(seq $(HOURS)); do \
		IFS=: read -r workload trace pairs gap <<<"$$run"; \
		env VM4_PRODUCER_ENV=/dev/null RUN_ID=fidelity ARRIVALS=workload EVENT_START=2026-01-05T14:00:00Z \
			WORKLOAD=$$workload BATCH=$$pairs SLEEP_SEC=$$gap RUN_SEED=$$hour \
			"$${CARGO_TARGET_DIR:-target}/release/vm4-producer" generate --values \
			2>/dev/null >$(FIDELITY)/hour.ndjson; \
		OMP_NUM_THREADS=1 $(FIDELITY)/bin/python examples/discriminator.py \
			"$(TRACES)/AzureLLMInferenceTrace_$$trace.csv" $(FIDELITY)/hour.ndjson \
			--every $(EVERY) --csv $$workload,$$hour | tee -a $(FIDELITY)/discriminator.csv; \
	done; done
endef

fidelity: deps ## Print how near the workload comes to its traces. TRACES=DIR asks a classifier too (Python from PyPI)
	$(CARGO) test --release --locked --lib workload -- --nocapture --test-threads=1
	$(if $(TRACES),$(classify))

# Pinned, as a new version may have new opinions.
CARGO_DENY = $$(CARGO="$(CARGO)" packaging/cargo-tool cargo-deny 0.20.2)

lint: deps ## Formatting, clippy and rustdoc, warnings denied; licences and sources of the dependencies
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --test system -- -D warnings # test = false leaves it out of all targets
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps
	"$(CARGO_DENY)" --locked check bans licenses sources

advisories: ## Hold the dependencies against the weaknesses published for Rust (asks GitHub)
	"$(CARGO_DENY)" --locked check advisories

# The container. KAFKA is the broker of a batch: that of the environment, as for docker compose, or of
# .env, in the syntax that Compose reads, else the default of the program, which docker-compose.yml
# alone does not have, because its own is the profile kafka's.
NAMED_KAFKA := $(KAFKA_BOOTSTRAP)
DOT_ENV_KAFKA = $(shell sed -nE 's/^[[:space:]]*(export[[:space:]]+)?KAFKA_BOOTSTRAP[[:space:]]*=[[:space:]]*//p' \
	.env 2>/dev/null | tail -n 1 | sed -E "s/[[:space:]]+\#.*//; s/[[:space:]]*$$//" | tr -d "\"'")
KAFKA ?= $(or $(NAMED_KAFKA),$(DOT_ENV_KAFKA),10.0.1.197:9092)
# Docker without Compose calls it an unknown command, and does not say what installs it.
COMPOSE = $(if $(shell docker compose version 2>/dev/null),docker compose,$(error there is no docker compose here: run make setup))
build: export REVISION := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
up run-once restart doctor: export KAFKA_BOOTSTRAP = $(KAFKA)

setup: ## Install Docker and Compose from the distribution, where they are missing (root or sudo)
	@packaging/setup-docker

build: ## Build the container image
	$(COMPOSE) build producer

up: ## Send one batch from a container, in the background. KAFKA=host:port names the broker
	$(COMPOSE) up --detach producer

run-once: ## Send one batch from a container, in the foreground
	$(COMPOSE) run --rm producer

logs: ## Follow the log of the batch
	$(COMPOSE) logs --follow producer

ps: ## Show the containers
	$(COMPOSE) --profile kafka ps --all

down: ## Stop and remove the containers
	$(COMPOSE) --profile kafka down --remove-orphans

restart: ## Send another batch in the background, with the settings as they are now
	$(COMPOSE) up --detach --force-recreate producer

doctor: ## Check settings, network, brokers and topics from inside a container
	$(COMPOSE) run --rm producer doctor

compose-demo: export KAFKA_BOOTSTRAP = kafka:9092
compose-demo: ## Send one batch to an Apache Kafka in a container, in the foreground
	$(COMPOSE) --profile kafka up --exit-code-from producer

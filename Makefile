# vm4-producer. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help deps binary demo deb test test-system soak bench figures lint
.PHONY: setup build up run-once logs ps down restart doctor compose-demo

CARGO ?= cargo

# What the build needs beside the Rust toolchain, gcc and make, as Debian names it: cmake and g++
# build librdkafka, which links the system's OpenSSL and zlib.
BUILD_PACKAGES := ca-certificates cmake g++ libssl-dev pkg-config zlib1g-dev

# Debian's compiler flags, and what a package is made with.
DEB_PACKAGES := dpkg-dev

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

test: deps ## Build and pass the hermetic tests (embedded broker; no root)
	$(CARGO) test --locked -- --test-threads=8 # they wait for the program more than they compute

test-system: deps ## Test against the real parts (Apache Kafka, systemd, Docker); root. SKIP="part ..." leaves parts out
	@CARGO="$(CARGO)" SKIP="$(SKIP)" tests/system/run

soak: deps ## Test hundreds of runs against three brokers whose leaders move, for records lost; root
	@CARGO="$(CARGO)" tests/system/run soak

figures: deps ## Draw the figures of docs/workload.md anew
	$(CARGO) build --locked --bins --example figures
	$(CARGO) run --locked --example figures

bench: deps ## Measure what an event costs before it is sent
	$(CARGO) bench --locked --bench generation

lint: deps ## Formatting, clippy and rustdoc, warnings denied
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

# The container. KAFKA is the broker of a batch: from .env if it names one, else the default of the
# program, which docker-compose.yml alone does not have, because its own is the profile kafka's.
KAFKA ?= $(or $(shell sed -n 's/^KAFKA_BOOTSTRAP=//p' .env 2>/dev/null | tail -n 1 | tr -d "\"'"),10.0.1.197:9092)
COMPOSE := docker compose
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

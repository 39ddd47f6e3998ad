# vm4-producer. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help deps build demo deb test test-system lint

CARGO ?= cargo

# What the build needs beside the Rust toolchain, gcc and make, as Debian names it: cmake and g++
# build librdkafka, which links the system's OpenSSL and zlib.
BUILD_PACKAGES := ca-certificates cmake g++ libssl-dev pkg-config zlib1g-dev

# What the Debian package needs beside them: compiler flags, shared libraries and architecture by dpkg.
DEB_PACKAGES := dpkg-dev

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | \
		while IFS=$$'\t' read -r target text; do printf '  %-12s %s\n' "$$target" "$$text"; done

deps: ## Install what the build needs, where it is missing (Debian; root or sudo)
	@packaging/install-packages $(BUILD_PACKAGES)

build: deps ## Build the program: target/release/vm4-producer
	$(CARGO) build --locked --release

demo: build ## Build, send five pairs to an embedded broker, read them back, show them
	@target/release/vm4-producer demo

deb: deps ## Build the Debian package: target/debian/vm4-producer_VERSION_ARCH.deb
	@packaging/install-packages $(DEB_PACKAGES)
	@CARGO="$(CARGO)" packaging/build-deb

test: deps ## Build and pass the hermetic tests (embedded broker; no root)
	$(CARGO) test --locked

test-system: deps ## Test against the real parts (Apache Kafka, systemd); root. SKIP="part ..." leaves parts out
	@CARGO="$(CARGO)" SKIP="$(SKIP)" tests/system/run

lint: deps ## Formatting, clippy and rustdoc, warnings denied
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

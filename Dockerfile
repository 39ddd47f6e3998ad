# The image of vm4-producer: the program, the libraries it needs, no shell.
#
# The same file builds for amd64 and arm64, with BuildKit and with the classic builder.

# Debian with gcc, make and a Rust toolchain. The build installs what else it needs below.
ARG BUILD_IMAGE=docker.io/library/rust:1.89.0-bookworm

FROM ${BUILD_IMAGE} AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates cmake g++ libssl-dev make pkg-config zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build

# The dependencies, with librdkafka, are most of the work. This layer builds them with an empty program
# in place of the source, so it stays in the cache until Cargo.toml or Cargo.lock changes.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src \
    && echo 'fn main() {}' >src/main.rs \
    && touch src/lib.rs \
    && cargo build --locked --release \
    && cargo clean --locked --release --package vm4-producer \
    && rm -r src

COPY . .
RUN cargo build --locked --release \
    && packaging/image-root target/release/vm4-producer gpu_seed.json /image

# The image has only what packaging/image-root collected: no shell, no package manager, and no files of
# a base image whose tag moves.
FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="vm4-producer" \
      org.opencontainers.image.description="Sends synthetic GPU-metric and LLM token-usage events to Kafka, and accounts for every record" \
      org.opencontainers.image.licenses="Apache-2.0 OR MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /image/ /
# An engine sets HOSTNAME to the container's id, which would be the host of every event.
ENV HOSTNAME=vm4
USER 10001:10001
# The program handles SIGTERM and SIGINT itself, also as process 1, so it needs no init.
ENTRYPOINT ["/usr/bin/vm4-producer"]
HEALTHCHECK --interval=10s --timeout=10s --start-period=10s --retries=3 \
    CMD ["/usr/bin/vm4-producer", "doctor", "--tcp"]

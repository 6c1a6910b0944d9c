# The image: one binary, the C library that it is linked with, and the authorities of the internet's certificates. No shell.
#   docker build --build-arg COMMIT="$(git rev-parse HEAD)" --tag walproof:0.1.0 .
ARG RUST_IMAGE=rust:1.95-slim-trixie
# Another one must have Debian's layout: /lib and /lib64 are links to those in /usr.
ARG BASE_IMAGE=scratch

FROM ${RUST_IMAGE} AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# What compiles the C parts of dependencies; whichever versions belong to the image's Debian.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates cmake g++ make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# The dependencies alone: a change of the program leaves them in the cache.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src tests/e2e \
 && touch src/lib.rs \
 && echo 'fn main() {}' | tee src/main.rs tests/forgejo_real.rs > tests/e2e/main.rs \
 && cargo build --locked --release --bin walproof
COPY src src
ARG COMMIT=unknown
# Cargo compares times, and the program's files may be older than the stand-ins.
RUN touch src/main.rs src/lib.rs \
 && WALPROOF_COMMIT="$COMMIT" cargo build --locked --release --bin walproof
WORKDIR /image
RUN mkdir -p etc/ssl/certs usr/lib usr/lib64 \
 && ln -s usr/lib lib \
 && ln -s usr/lib64 lib64 \
 && cp /build/target/release/walproof . \
 && ldd walproof | grep -o '/[^ ]*' | xargs -I{} cp --parents --dereference {} . \
 && cp /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/ \
 && echo 'hosts: files dns' > etc/nsswitch.conf

# Which image that is, the builder says.
# hadolint ignore=DL3006
FROM ${BASE_IMAGE}
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="walproof" \
      org.opencontainers.image.description="Proves every night that a CloudNativePG database comes back from its barman-cloud archive" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${COMMIT}"
COPY --from=build /image/ /
USER 10001:10001
ENTRYPOINT ["/walproof"]

# The developer's commands; `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint chart bench e2e mutation

help: ## List the targets
	@sed -n 's/^\([a-z0-9]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup: ## Install what is missing (PostgreSQL server programs; barman and Prometheus' tools in .tools)
	@scripts/setup

demo: setup ## The main job on real input: PASS, then FAIL on a broken archive; PUBLISH=1 pushes metrics too
	cargo build --locked --bin walproof --example demo
	@cargo run --locked --quiet --example demo

test: setup ## All tests
	cargo test --locked --no-fail-fast

e2e: ## The drill on a real Kubernetes (KUBECONFIG; scripts/e2e-in-lab has one); FILTER names some cases
	@scripts/e2e $(FILTER)

mutation: setup ## Take one probe or rule away at a time: a case must notice (slow); FILTER names some mutations
	@scripts/mutation $(FILTER)

lint: ## Formatting, and clippy with warnings denied
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --test e2e --test forgejo_real -- -D warnings

chart: setup ## The Helm chart, its alerts and dashboard, the Dockerfile: lint, schema, every case rendered and looked at
	@scripts/chart
	@scripts/alerts

bench: setup ## Measure speed and memory in a release build
	cargo build --locked --release --bin walproof --example bench
	@cargo run --locked --release --quiet --example bench

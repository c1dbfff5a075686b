# make run     build, start demo origins and the gateway on conf/module.toml, print a curl line
# make test    install what the tests need, then unit, property and end-to-end tests at 1, 4 and 48 workers
# make check   formatting, lints, style, dependencies
# make soak    good and bad peers, dying endpoints, reloads and upgrades for SOAK_SECONDS (600); nothing may be left in the end
# make bench   see bench/bench.mk
# make fuzz    each fuzz target for SECONDS (20)

.PHONY: build run test check lint audit test-needs test-unit test-e2e soak fuzz clean

CARGO ?= cargo
SECONDS ?= 20

build:
	$(CARGO) build --release --locked

run:
	tools/demo

check: lint audit

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

audit:
	tools/audit

test: test-needs test-unit test-e2e

test-needs:
	tools/test-needs

test-unit:
	$(CARGO) test --workspace --locked --lib --bins --test allocations --test config --test control_signals --test docs \
		--test fairness --test print --test readme --test screen --test security --test simulation --test tidy

# Most of these tests wait for a deadline: more of them at a time than there are cores.
test-e2e: export RUST_TEST_THREADS = 4
test-e2e:
	GK_CORES=1 $(CARGO) test --locked --test e2e
	GK_CORES=4 $(CARGO) test --locked --test e2e
	GK_CORES=48 $(CARGO) test --locked --test e2e
	GK_CORES=4 GK_DRIVER=epoll $(CARGO) test --locked --test e2e

soak: build test-needs
	tests/soak/run

fuzz:
	fuzz/run $(SECONDS)

clean:
	$(CARGO) clean

include bench/bench.mk

# Benchmarks, included by the Makefile. `make bench` measures everything and writes bench/record/small-replies;
# `make bench QUICK=1` or `make bench-quick` takes a few minutes and writes nothing that is committed. `make bench-gate` counts
# instructions per request and fails when there are more than recorded.

.PHONY: bench bench-quick bench-gate bench-gate-update bench-build bench-origin bench-test attack

bench: bench-build
	bench/run $(if $(QUICK),--quick,--record small-replies)

bench-quick: bench-build
	bench/run --quick

bench-gate: bench-build
	bench/gate/run

bench-gate-update: bench-build
	bench/gate/run --update

# 10,000 connections of each kind that costs an attacker nothing: memory, a good client's wait, what is left.
attack: bench-build
	bench/attack/run

bench-test:
	PYTHONDONTWRITEBYTECODE=1 python3 -m unittest discover -q -s bench -t bench -p 'test_*.py'

bench-build:
	cargo build --release --locked -p gatekeeper -p bench-origin -p bench-floor

bench-origin:
	cargo build --release --locked -p bench-origin

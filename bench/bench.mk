# Benchmarks, included by the Makefile. `make bench` measures everything and writes bench/record/small-replies and tunnels;
# `make bench QUICK=1` or `make bench-quick` takes a few minutes and writes nothing that is committed. `make bench-replies` and
# `make bench-tunnels` are its halves. `make bench-gate` counts instructions per request and fails when there are more than
# recorded.

.PHONY: bench bench-quick bench-replies bench-tunnels bench-gate bench-gate-update bench-runtimes bench-build bench-origin bench-test attack

bench: bench-replies bench-tunnels

bench-replies: bench-build
	bench/run $(if $(QUICK),--quick,--record small-replies)

bench-tunnels: bench-build
	bench/tunnels $(if $(QUICK),--quick,--record tunnels)

bench-quick: bench-build
	bench/run --quick
	bench/tunnels --quick

bench-gate: bench-build
	bench/gate/run

bench-gate-update: bench-build
	bench/gate/run --update

# One relay on several runtimes, and monoio-http's decoder over the corpus; writes record/rt-compare and monoio-http.
bench-runtimes:
	bench/rt-compare/run --record

# 10,000 connections of each kind that costs an attacker nothing: memory, a good client's wait, what is left.
attack: bench-build
	bench/attack/run

bench-test:
	PYTHONDONTWRITEBYTECODE=1 python3 -m unittest discover -q -s bench -t bench -p 'test_*.py'

bench-build:
	cargo build --release --locked -p gatekeeper -p bench-origin -p bench-floor -p bench-messages

bench-origin:
	cargo build --release --locked -p bench-origin

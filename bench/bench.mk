# Benchmarks, included by the Makefile.
#
# make bench              the whole matrix, 45 to 80 minutes; writes bench/record/matrix
#   QUICK=1               a part of it, once, under 5 minutes; writes target/bench/last
#   PEERS=new             also nginx, HAProxy, Envoy and Traefik of PyPI's wheels
#   ONLY=a,b              only these proxies; SCENARIOS='a|b' only scenarios with one of these in their name: target/bench/last
# make bench-report       the record's page and charts anew from its samples
# make bench-scale        instructions per request at 1, 4, 16 and 48 workers
# make bench-gate         fails when a request takes 3 % more instructions than recorded; bench-gate-update records them
# make bench-micro        lookups of routes next to the matchit crate, of addresses in long and short lists, as ratios in one run; fails where one is above its bound
# make bench-runtimes     one relay on several runtimes; monoio-http's decoder over the corpus
# make bench-test         tests of the instrument: parsing, statistics, aims, tables, charts, and that nothing is left behind
# make attack             10,000 connections of each kind that costs an attacker nothing

.PHONY: bench bench-report bench-scale bench-gate bench-gate-update bench-micro bench-runtimes bench-build bench-origin bench-test attack

BENCH_PART = $(QUICK)$(ONLY)$(SCENARIOS)

bench: bench-build
	bench/run $(if $(QUICK),--quick) $(if $(PEERS),--peers $(PEERS)) $(if $(ONLY),--only $(ONLY)) \
		$(if $(SCENARIOS),--scenarios '$(SCENARIOS)') $(if $(BENCH_PART),,--record matrix)

bench-report:
	bench/report

bench-scale: bench-build
	bench/run --scenarios instructions --rounds 1

bench-gate: bench-build
	bench/gate/run

bench-gate-update: bench-build
	bench/gate/run --update

bench-micro:
	$(CARGO) run --locked --profile micro -p bench-micro --bin routes
	$(CARGO) run --locked --profile micro -p bench-micro --bin lists

bench-runtimes:
	bench/rt-compare/run --record

attack: bench-build
	bench/attack/run

bench-test: bench-build
	PYTHONDONTWRITEBYTECODE=1 python3 -m unittest discover -q -s bench -t bench -p 'test_*.py'

bench-build:
	cargo build --release --locked -p gatekeeper -p bench-origin -p bench-floor -p bench-messages -p bench-steady

bench-origin:
	cargo build --release --locked -p bench-origin

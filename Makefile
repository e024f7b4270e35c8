# Two commands for a newcomer: `make demo` and `make test`. Both install the Debian packages that are missing.
.DEFAULT_GOAL := help
.PHONY: help demo test check lint commands devices protocol bench acceptance torture release deb test-deb format clean setup toolchain fuzz

SWIFT ?= swift
# The one that the Debian packages are for, whatever else is in PATH.
PYTHON ?= /usr/bin/python3
SWIFT_SOURCES := Sources Tests Package.swift
RELEASE_FLAGS := -c release --static-swift-stdlib --product headgate
# Suites that keep disk and processor busy: on their own, so that no test on a virtual clock waits for them.
STORES := SQLiteJournalTests|DeskModelTests
# Suites that talk to other processes in real time: one test after the other, so that none waits for the processor.
REAL_PEERS := ModbusBusTests|SimulatorTests|MosquittoUplinkTests|GatewayTests|ConsoleTests|CommandLineTests
BENCH_FLAGS ?=
ACCEPTANCE_FLAGS ?=
TORTURE_FLAGS ?=
# Fuzz tests have `mutated` in their name or are in a suite named `…FuzzTests`; HEADGATE_LONG_TESTS=1 makes them long.
FUZZ ?= mutated|FuzzTests
# The same story each time; `make torture` takes another one each time and prints its seed.
TEST_SEED := 3

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

demo: setup toolchain ## A simulated plant, a private broker and the gateway on loopback; Ctrl-C ends it
	$(SWIFT) build --product headgate
	@exec "$$($(SWIFT) build --show-bin-path)/headgate" demo

test: setup toolchain lint ## Format check, build, all tests: units, contracts, real peers, profiles, commands, torture in small
	$(SWIFT) build --build-tests
	$(SWIFT) test --skip-build --disable-xctest --skip "$(REAL_PEERS)|$(STORES)"
	$(SWIFT) test --skip-build --disable-xctest --filter "$(STORES)"
	$(SWIFT) test --skip-build --disable-xctest --no-parallel --filter "$(REAL_PEERS)"
	"$$($(SWIFT) build --show-bin-path)/headgate" profile test Devices
	deploy/devices.py --check
	export HEADGATE="$$($(SWIFT) build --show-bin-path)/headgate"; for tests in Acceptance Torture Consumer Commands; do \
		$(PYTHON) -m unittest discover --start-directory Tests/$$tests --pattern "*_test.py" || exit 1; done
	$(PYTHON) Tests/Torture/torture.py --short --seed $(TEST_SEED) --headgate "$$($(SWIFT) build --show-bin-path)/headgate"

check: setup toolchain lint ## Format check and build, no tests
	$(SWIFT) build --build-tests

commands: setup toolchain ## Governed commands with the real gateway: devices that misbehave, kills, a flood; some minutes
	$(SWIFT) build --product headgate
	HEADGATE="$$($(SWIFT) build --show-bin-path)/headgate" $(PYTHON) -m unittest discover --start-directory Tests/Commands --pattern "*_test.py"

fuzz: setup toolchain ## Every fuzz test at length, most with a million inputs (FUZZ=JWSTests: one suite)
	$(SWIFT) build --build-tests
	HEADGATE_LONG_TESTS=1 $(SWIFT) test --skip-build --disable-xctest --filter "$(FUZZ)"
	HEADGATE="$$($(SWIFT) build --show-bin-path)/headgate" $(PYTHON) Tests/Commands/flood_test.py --long -k payload

lint: toolchain ## Format check only
	$(SWIFT) format lint --strict --parallel --recursive $(SWIFT_SOURCES)

devices: setup ## Write docs/devices.md, the list of the profiles
	deploy/devices.py

protocol: ## Write docs/protocol.md, the reference of topics, documents and codes
	deploy/protocol.py

bench: setup release ## Headgate beside a C floor: CPU, memory, latency, bytes on disk (BENCH_FLAGS="--seconds 60")
	$(PYTHON) Tests/Benchmark/bench.py --headgate .build/release/headgate $(BENCH_FLAGS)

acceptance: setup release ## Ten minutes with a broker outage and a kill -9 (ACCEPTANCE_FLAGS="--seconds 120")
	$(PYTHON) Tests/Acceptance/acceptance.py --headgate .build/release/headgate $(ACCEPTANCE_FLAGS)

torture: setup release ## Kills, outages, full disks, clock jumps, soak, backlog: an hour and a half (TORTURE_FLAGS="--short")
	$(PYTHON) Tests/Torture/torture.py --headgate .build/release/headgate $(TORTURE_FLAGS)

release: setup toolchain ## Release build with the Swift runtime inside: .build/release/headgate
	$(SWIFT) build $(RELEASE_FLAGS)

deb: setup ## The Debian package: dist/headgate_VERSION_ARCH.deb (HEADGATE_BINARY=FILE packs that instead of building)
	deploy/deb.sh

test-deb: deb ## The package in a clean Debian root, its service under a booted systemd; as root, with debootstrap and lintian
	deploy/test-deb.sh "$$(ls -t dist/headgate_*.deb | head -n 1)"

format: toolchain ## Rewrite the Swift sources in the house format
	$(SWIFT) format --in-place --parallel --recursive $(SWIFT_SOURCES)

clean: ## Remove everything that was built
	rm -rf .build dist

setup: ## Install the Debian packages that building and testing need
	@deploy/setup.sh

toolchain: ## Is a Swift toolchain there?
	@command -v $(SWIFT) >/dev/null || { echo "no '$(SWIFT)' in PATH: install Swift 6.1 or newer, https://www.swift.org/install" >&2; exit 1; }

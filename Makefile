# The front door; Meson does the building. `make help` says what there is.
BUILD ?= build
PREFIX ?= /usr/local
MESON ?= meson
JOBS ?= $(shell nproc)
STAGE := $(abspath $(BUILD))/stage

.PHONY: all
all: $(BUILD)/build.ninja ## build, and stage an installed tree in build/stage
	@ninja -C $(BUILD) -j $(JOBS)
	@tools/stage $(BUILD)

$(BUILD)/build.ninja:
	@tools/deps --quiet
	$(MESON) setup $(BUILD) --prefix=/usr

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "make %-15s %s\n", $$1, $$2 }' Makefile

.PHONY: deps
deps: ## install what Debian or Ubuntu must provide (DEV=1: also for lint, sanitizers, fuzzing, aarch64)
	@tools/deps $(if $(DEV),--dev)

.PHONY: deps-quiet
deps-quiet:
	@tools/deps --quiet

.PHONY: check
check: deps-quiet all ## unit tests, and end-to-end tests at reduced counts (TESTS='caps memory' picks some)
	@tools/run-tests --build $(BUILD) $(TESTS)

.PHONY: check-full
check-full: deps-quiet all ## the same at the counts of the specification; writes docs/results/check-full.md
	@VGPU_TEST_FULL=1 tools/run-tests --build $(BUILD) --report docs/results/check-full.md $(TESTS)

.PHONY: check-sanitize
check-sanitize: deps-quiet all ## the tests again under ASan and UBSan, the threaded ones under TSan
	@tools/check-sanitize $(BUILD) $(TESTS)

.PHONY: lint
lint: $(BUILD)/build.ninja ## every rule that a program can check
	@tools/deps --quiet --dev
	@tools/lint --build $(BUILD)

.PHONY: format
format: ## lay out the code as clang-format 14 decides
	@tools/format

.PHONY: demo
demo: deps-quiet all ## two tenants on one GPU, simulated where there is none
	@tools/demo $(STAGE)/usr

.PHONY: install
install: all ## install under DESTDIR and PREFIX
	@mkdir -p "$(DESTDIR)$(PREFIX)"
	@cp -R --no-preserve=ownership "$(STAGE)/usr/." "$(DESTDIR)$(PREFIX)/"

.PHONY: fuzz
fuzz: ## feed the parsers with nonsense for FUZZ_SECONDS each (60)
	@tools/deps --quiet --dev
	@tools/fuzz build-fuzz $(or $(FUZZ_SECONDS),60)

.PHONY: aarch64
aarch64: ## cross build for 64-bit ARM; its unit tests run under qemu-user
	@tools/deps --quiet --dev
	@tools/cross build-aarch64

.PHONY: bench
bench: all ## the benchmarks of bench/
	@tools/run-bench $(BUILD)

.PHONY: clean
clean: ## remove everything that was built
	rm -rf build build-asan build-tsan build-fuzz build-aarch64

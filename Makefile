# Needs make and Python 3.11 or newer; everything else comes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
# What only some targets need comes when they first run.
BENCH_STAMP := $(VENV)/installed-bench
FUZZ_STAMP := $(VENV)/installed-fuzz
# Long simulations take half the time under PyPy 3.11, which has an environment of its own: PYPY=pypy3.
SIM_VENV := $(if $(PYPY),.venv-pypy,$(VENV))
PYPY_STAMP := .venv-pypy/installed
# By itself PyPy goes through what is new each 4 MiB, at which much of a thousand boards' is not old yet.
export PYPY_GC_NURSERY ?= 32M

.DEFAULT_GOAL := help
.PHONY: help demo demo-cluster test test-services soak image check bench size fuzz sim powercut flash emulate format docs clean

help:
	@echo "make demo      the whole path: emulated boards, gateway, Big Peer"
	@echo "               [BOARDS=5 READINGS=100 SEED=1 DATA=my.csv PROFILE=esp32c3 KEEP=1"
	@echo "                AIR=off NEAR=1 PLAYGROUND=1 CUTS=100 DIR=folder]"
	@echo "make demo-cluster  the same with two Big Peer nodes on PostgreSQL and Kafka behind a bridge  [as make demo]"
	@echo "make emulate   emulated boards with a serial port each  [BOARDS=1 PROFILE=esp32]"
	@echo "make flash     firmware onto a board  PORT=/dev/ttyUSB0  [BOARD=esp32 NAME=name IMAGE=micropython.bin]"
	@echo "make test      all tests, in one process more than there are cores  [ARGS='-k flash' JOBS=1]"
	@echo "make test-services  tests with real servers, which it starts and stops: PostgreSQL, Kafka, mosquitto, Chromium  [ARGS='-k watermark']"
	@echo "make soak      nodes of a Big Peer, PostgreSQL and Kafka, killed at random under load  [SECONDS=3600 SEED=7 DIR=folder]"
	@echo "make image     build the container image on Debian's packages, and run it; as root  [BASE=image]"
	@echo "make check     ruff and mypy"
	@echo "make sim       simulated meshes with random faults  [SCENARIO=intel-lab SEED=7 WORLDS=20 PYPY=pypy3]"
	@echo "make powercut  the flash log, its power cut at every byte  [SEED=7 CUTS=100000 MODEL=bits JOBS=2 JSON=1]"
	@echo "make bench     figures, one JSON object each  [ONLY=link, sync, flash, mesh or bigpeer WHOLE=1 JOBS=2 PYPY=pypy3]"
	@echo "make size      what the firmware takes on a board: code and heap  [JSON=1]"
	@echo "make fuzz      all decoders, guided by coverage  [SECONDS=60 ONLY=session]"
	@echo "make format    let ruff format the sources"
	@echo "make docs      write docs/cli.md and docs/errors.md anew"
	@echo "make clean     remove .venv and caches"

# A half-made environment has no stamp and is made anew.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Hedgerow needs Python 3.11 or newer, but $(PYTHON) is $$($(PYTHON) --version 2>&1); try make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) >&2 || { \
	  echo "This Python cannot make environments; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "installing Hedgerow and its tools into $(VENV)" >&2
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[dev]' >&2
	@# The judge of our credentials needs another cbor2 than we do, so it stands beside.
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --target $(VENV)/cwt 'cwt>=3.3' >&2
	@touch $@

DEMO = $(if $(BOARDS),--boards $(BOARDS)) $(if $(READINGS),--readings $(READINGS)) \
	  $(if $(SEED),--seed $(SEED)) $(if $(DATA),--data '$(DATA)') $(if $(PROFILE),--profile $(PROFILE)) \
	  $(if $(filter-out 0,$(KEEP)),--keep) \
	  $(if $(AIR),--air $(AIR)) $(if $(filter-out 0,$(NEAR)),--near) \
	  $(if $(filter-out 0,$(PLAYGROUND)),--playground) $(if $(CUTS),--cuts $(CUTS)) \
	  $(if $(DIR),--directory '$(DIR)')

demo: $(STAMP)
	@$(BIN)/hedgerow demo $(DEMO)

# Installs what servers are missing, and stops what it started.
demo-cluster: $(STAMP)
	@tests/services/install
	@$(BIN)/python tests/services/demo_cluster.py $(DEMO)

emulate: $(STAMP)
	@$(BIN)/hedgerow emulate $(if $(BOARDS),--boards $(BOARDS)) $(if $(PROFILE),--profile $(PROFILE)) \
	  $(if $(SEED),--seed $(SEED)) $(if $(DATA),--data '$(DATA)') $(if $(DIR),--directory '$(DIR)')

flash: $(STAMP)
	@test -n "$(PORT)" || { echo "make flash needs PORT=, such as PORT=/dev/ttyUSB0" >&2; exit 2; }
	@$(BIN)/hedgerow flash --port '$(PORT)' $(if $(BOARD),--board $(BOARD)) $(if $(NAME),--name '$(NAME)') \
	  $(if $(CONFIG),--config '$(CONFIG)') $(if $(IMAGE),--micropython '$(IMAGE)')

test: $(STAMP)
	@$(BIN)/python -m pytest --numprocesses $(or $(JOBS),auto) --dist loadfile --no-loadscope-reorder $(ARGS)

# Installs what is missing; everything listens on loopback, with data in a temporary folder.
test-services: $(STAMP)
	@tests/services/install
	@$(BIN)/python -m pytest tests/services $(ARGS)

# Installs what is missing; ends as soon as something receipted is missing, or told out of order.
soak: $(STAMP)
	@tests/services/install
	@$(BIN)/python tests/services/soak.py $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(DIR),--directory '$(DIR)')

# Installs what is missing; images and what they wrote are gone at the end.
image: $(STAMP)
	@tests/services/install image
	@$(BIN)/python tests/services/image.py $(if $(BASE),--base '$(BASE)')

check: $(STAMP)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

format: $(STAMP)
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

$(PYPY_STAMP): pyproject.toml
	@$(PYPY) -m venv --clear .venv-pypy >&2
	@.venv-pypy/bin/python -m pip install --disable-pip-version-check --quiet --editable . >&2
	@touch $@

sim: $(if $(PYPY),$(PYPY_STAMP),$(STAMP))
	@$(SIM_VENV)/bin/python tests/sim.py $(if $(SCENARIO),--scenario '$(SCENARIO)') $(if $(SEED),--seed $(SEED)) \
	  $(if $(WORLDS),--worlds $(WORLDS))

powercut: $(STAMP)
	@$(BIN)/python tests/powercut.py $(if $(SEED),--seed $(SEED)) $(if $(CUTS),--cuts $(CUTS)) \
	  $(if $(MODEL),--model '$(MODEL)') $(if $(JOBS),--jobs $(JOBS)) $(if $(REPLAY),--replay '$(REPLAY)') \
	  $(if $(filter-out 0,$(JSON)),--json)

$(BENCH_STAMP) $(FUZZ_STAMP): $(VENV)/installed-%: $(STAMP)
	@echo "installing what make $* compares with or needs into $(VENV)" >&2
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[$*]' >&2 && touch $@ || \
	  echo "not everything could be installed; what is left out will be named" >&2

size: $(STAMP)
	@$(BIN)/python -m bench.size $(if $(filter-out 0,$(JSON)),--json)

fuzz: $(FUZZ_STAMP)
	@$(BIN)/python tests/core/fuzz.py $(if $(SECONDS),--seconds $(SECONDS)) $(if $(ONLY),--only '$(ONLY)')

bench: $(if $(PYPY),$(PYPY_STAMP),$(BENCH_STAMP))
	@WHOLE=$(WHOLE) $(SIM_VENV)/bin/python -m bench $(if $(ONLY),--only '$(ONLY)') $(if $(JOBS),--jobs $(JOBS))

docs: $(STAMP)
	@$(BIN)/python -m hedgerow_cli.reference docs

clean:
	rm -rf $(VENV) .venv-pypy .mypy_cache .pytest_cache .ruff_cache build dist

# Everything runs in .venv/, which `make setup` makes; nothing else on the machine is changed but for
# Debian's python3-venv, where a fresh machine has Python without it.
PYTHON ?= python3
BIN := .venv/bin
KILLS ?= 20
KILL_DELIVERIES ?= 20000
TAMPERINGS ?= 1000
FLIPS ?= 1000
WORKER_KILLS ?= 20
OUTAGE_S ?= 60
RELOAD_S ?= 120
SEEDS ?= 5000
ATTACK_S ?= 60
EVENT_SERVERS ?= 3
STREAM_EVENTS ?= 20000
DIFFERENTIAL ?= 20000
STAGE_KILLS ?= 20
PARITY_PAIRS ?= 10000
PARITY_VERDICTS ?= 1000000
BATCH_RECORDS ?= 50000
BATCH_KILLS ?= 50

# Python keeps what it has compiled, whatever the environment says: each start without takes a second more.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test found lint bench drill run clean

setup: .venv/.ready

.venv/.ready: requirements.lock pyproject.toml deploy/setup.sh
	@PYTHON=$(PYTHON) sh deploy/setup.sh
	@touch $@

demo: setup
	@$(BIN)/bridge demo

run: setup
	@$(BIN)/bridge run

lint: setup
	@$(BIN)/ruff check bridge tests
	@$(BIN)/ruff format --check bridge tests
	@$(BIN)/mypy

# The second core finds the tests, which also compiles them once for all workers, while the first checks types.
# Two workers more than there are cores: tests wait for processes, sockets and disks.
test: setup
	@$(MAKE) --no-print-directory -j2 lint found
	@folder=$$(sh tests/temporary_folder.sh) && trap 'rm -rf "$$folder"' EXIT && trap 'exit 130' INT TERM && \
		TMPDIR="$$folder" PYTEST_XDIST_AUTO_NUM_WORKERS=$$(( $$(nproc) + 2 )) \
		$(BIN)/pytest -q -n auto --maxprocesses 4 --dist worksteal

found: setup
	@found=$$($(BIN)/pytest -q --collect-only -p no:cacheprovider) || { echo "$$found"; exit 1; }

drill: setup
	@$(BIN)/pytest -q tests/scenarios/test_kill.py tests/scenarios/test_outage.py tests/scenarios/test_files_change.py \
		tests/scenarios/test_workers.py tests/scenarios/test_under_attack.py tests/simulation -rP --kills=$(KILLS) \
		--kill-deliveries=$(KILL_DELIVERIES) \
		--worker-kills=$(WORKER_KILLS) --outage-s=$(OUTAGE_S) --reload-s=$(RELOAD_S) --seeds=$(SEEDS) --attack-s=$(ATTACK_S)
	@$(BIN)/pytest -q tests/scenarios/test_events_killed.py tests/simulation/test_stream_outage.py -rP \
		--event-servers=$(EVENT_SERVERS) --stream-events=$(STREAM_EVENTS)
	@$(BIN)/pytest -q tests/scenarios/test_stages_killed.py tests/journal/test_journal_parity.py tests/runtime/test_shadow_network.py \
		-rP --stage-kills=$(STAGE_KILLS) --parity-pairs=$(PARITY_PAIRS) --parity-verdicts=$(PARITY_VERDICTS)
	@$(BIN)/pytest -q tests/journal/test_journal_tampering.py tests/runtime/test_evidence_of_a_node.py -rP \
		--tamperings=$(TAMPERINGS) --flips=$(FLIPS)
	@for rerun in none delta replace; do $(BIN)/pytest -q tests/scenarios/test_batch_killed.py -rP --batch-rerun=$$rerun \
		--batch-records=$(BATCH_RECORDS) --kills=$(BATCH_KILLS) || exit 1; done
	@$(BIN)/pytest -q tests/formats/test_hl7v2_differential.py -rP --differential-messages=$(DIFFERENTIAL)

bench: setup
	@$(BIN)/bridge bench

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis

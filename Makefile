# `make help` lists the targets. All of them work in .venv, which the first one creates.

VENV := .venv
BIN := $(VENV)/bin
# the first interpreter that the pinned requirements support; override: make PYTHON=python3.12 ...
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null \
	&& echo $$p && break; done)

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow lint format clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed  ## create .venv and install requirements.txt (about 5 GB, 3 minutes)

$(VENV)/.installed: requirements.txt
	@test -n "$(PYTHON)" || { echo "error: no Python 3.10, 3.11 or 3.12 found; install one and pass PYTHON=/path/to/it"; exit 2; }
	@echo "installing requirements.txt into $(VENV) with $(PYTHON) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@echo "compiling the beam search ..."
	@$(BIN)/python scripts/compile_kernels.py
	@touch $@

DEMO := data/synthetic
demo: install  ## train, evaluate and transcribe synthetic speech: 8 minutes on 2 CPU cores
	@$(BIN)/python scripts/make_synthetic_corpus.py $(DEMO) --split test --size 20 --seed 1
	@$(BIN)/python scripts/make_synthetic_text.py $(DEMO)/text.txt --split train
	@$(BIN)/python scripts/train_lm.py $(DEMO)/text.txt --order 3 -o $(DEMO)/lm.arpa
	@$(BIN)/python train.py -cn=demo metrics=beam_lm lm=$(DEMO)/lm.arpa
	@echo; echo "Transcribing the recordings in $(DEMO)/audio:"
	@$(BIN)/python inference.py inferencer.from_pretrained=saved/demo \
		datasets.test.audio_dir=$(DEMO)/audio datasets.test.transcription_dir=$(DEMO)/transcriptions \
		metrics=beam_lm lm=$(DEMO)/lm.arpa

# a process a core and a core a process; a file's tests stay together, with what they share
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest \
	--numprocesses auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

test: install  ## the test suite, without its slow and GPU tests
	@$(PYTEST) -m "not slow and not gpu"

test-slow: install  ## the slow tests: full-length trainings, stalled servers
	@$(PYTEST) -m slow

lint: install  ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: install  ## put the code into ruff's format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:  ## remove .venv and caches; data/ and saved/ stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis

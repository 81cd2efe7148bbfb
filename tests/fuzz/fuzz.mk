# The search for inputs that break something. atheris has wheels for Python 3.13 only, so it lives in a place of its own.
FUZZ := build/fuzz
FUZZ_PYTHON ?= python3.13
FUZZ_SECONDS ?= 600
FUZZ_TARGETS ?= $(notdir $(basename $(wildcard tests/fuzz/targets/*.py)))
FUZZING := PYTHONPATH=operator:. $(FUZZ)/venv/bin/python -m tests.fuzz

$(FUZZ)/venv/ready: tests/fuzz/requirements.txt
	$(FUZZ_PYTHON) -m venv --clear $(FUZZ)/venv
	$(FUZZ)/venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.PHONY: fuzz
fuzz: $(FUZZ)/venv/ready ## Search for inputs that break the parsers, FUZZ_SECONDS for each of FUZZ_TARGETS
	@for target in $(FUZZ_TARGETS); do $(FUZZING) $$target --seconds $(FUZZ_SECONDS); done

.PHONY: fuzz-merge
fuzz-merge: $(FUZZ)/venv/ready ## Take inputs that cover more into the corpus which the tests replay
	@for target in $(FUZZ_TARGETS); do $(FUZZING) $$target --merge; done

.PHONY: fuzz-lock
fuzz-lock: venv ## Lock what the search needs
	$(BIN)/pip install --quiet uv
	$(subst "make lock","make fuzz-lock",$(COMPILE)) --python-version 3.13 --extra server --group test pyproject.toml tests/fuzz/requirements.in -o tests/fuzz/requirements.txt

# Measurements. They want a quiet machine; the ratios bear some noise, the rates do not.
.PHONY: bench-server
bench-server: venv ## Measure the server beside others, and write docs/benchmarks.md
	@$(BIN)/python -m tests.bench.server --write $(BENCH)

.PHONY: bench-revocation
bench-revocation: venv ## Measure how soon 1,000 connections are cut after their revocation
	@$(BIN)/python -m tests.bench.revocation $(BENCH)

.PHONY: bench-abuse
bench-abuse: venv ## Measure what a healthy client notices of abused handshakes, and write docs/benchmarks.md
	@$(BIN)/python -m tests.bench.abuse --write $(BENCH)

.PHONY: bench-flat
bench-flat: venv ## Measure whether 100,000 connections leave anything behind, and write docs/benchmarks.md
	@$(BIN)/python -m tests.bench.flat --write $(BENCH)

.PHONY: bench-lock
bench-lock: venv ## Lock what the measurements need
	$(BIN)/pip install --quiet uv
	$(subst "make lock","make bench-lock",$(COMPILE)) --python-version 3.13 --extra server pyproject.toml tests/bench/requirements.in -o tests/bench/requirements.txt

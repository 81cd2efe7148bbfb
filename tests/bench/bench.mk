# Measurements. They want a quiet machine; the ratios bear some noise, the rates do not.
.PHONY: bench-server
bench-server: venv ## Measure the server beside uvicorn and Node
	@$(BIN)/python -m tests.bench.server $(BENCH)

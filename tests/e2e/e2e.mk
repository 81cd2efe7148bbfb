# Tests on a cluster of their own, which is gone when they end, however that is.
.PHONY: e2e
e2e: export MTLS_CLUSTER := mtls-e2e
e2e: venv ## Test on a real cluster, from the outside, with what callers really use
	@# Apart: the operator that the former install must be gone before the latter watch theirs.
	@trap '$(CLUSTER) down' EXIT; $(BIN)/pytest tests/verifiers tests/apiserver; $(BIN)/pytest tests/e2e

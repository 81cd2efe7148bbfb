# Tests on clusters of their own, which are gone when they end, however that is. Those that rotate authorities wait
# most of the time, so the longest run beside them, and alone say at once how far they are.
ROTATION := tests/e2e/test_authority_rotation.py
SECRECY := tests/e2e/test_secrecy.py
in_one_piece = said=$$($(1) 2>&1) && code=0 || code=$$?; printf '\n%s\n' "$$said"; exit $$code

.PHONY: e2e
e2e: venv ## Test on real clusters, from the outside, with what callers really use
	@$(MAKE) --no-print-directory --jobs=2 e2e-rotation e2e-others

.PHONY: apiserver
apiserver: export MTLS_CLUSTER := mtls-apiserver
apiserver: venv ## Test what is issued, and the API on a real control plane
	@trap '$(CLUSTER) down' EXIT; $(call in_one_piece,$(BIN)/pytest tests/verifiers tests/apiserver)

.PHONY: e2e-rotation
e2e-rotation: export MTLS_CLUSTER := mtls-rotation
e2e-rotation: apiserver
	@trap '$(CLUSTER) down' EXIT; $(call in_one_piece,$(BIN)/pytest $(ROTATION) $(SECRECY))

.PHONY: e2e-others
e2e-others: export MTLS_CLUSTER := mtls-e2e
e2e-others: venv
	@trap '$(CLUSTER) down' EXIT; $(BIN)/pytest tests/e2e --ignore $(ROTATION)

# With KUBECONFIG set, both go to that cluster; else to one of their own on this machine.
.PHONY: demo
demo: venv ## Show everything on a cluster of its own, which stays
	@$(BIN)/python -m tests.demo up

.PHONY: demo-down
demo-down: venv ## Remove what the demonstration left
	@$(BIN)/python -m tests.demo down

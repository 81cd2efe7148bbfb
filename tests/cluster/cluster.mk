# A real Kubernetes on this machine. MTLS_CLUSTER names one of several side by side.
CLUSTER := $(BIN)/python -m tests.cluster

.PHONY: cluster
cluster: venv ## Start Kubernetes with a node on this machine
	@$(CLUSTER) up

.PHONY: control-plane
control-plane: venv ## Start only its control plane, which runs no pods
	@$(CLUSTER) up --control-plane-only

.PHONY: cluster-down
cluster-down: venv ## Stop it and remove everything of it
	@$(CLUSTER) down

.PHONY: kubeconfig
kubeconfig: venv ## Print the path of its kubeconfig
	@$(CLUSTER) kubeconfig

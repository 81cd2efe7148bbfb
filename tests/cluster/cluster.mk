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

.PHONY: images
images: venv ## Build the images and print where their archives are
	@$(CLUSTER) images

.PHONY: load
load: venv ## Build the images and load them into the cluster
	@$(CLUSTER) load

.PHONY: unit-server
unit-server: venv ## The server's tests, under the Python and OpenSSL that its image ships
	@$(CLUSTER) test-server tests/unit/server

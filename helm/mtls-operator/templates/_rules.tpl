{{/* What the operator does where MTLSServices and MTLSClients are. */}}
{{- define "mtls-operator.rules.services" -}}
- apiGroups: [mtls-operator.io]
  resources: [mtlsservices, mtlsclients]
  verbs: [get, list, watch]
- apiGroups: [mtls-operator.io]
  resources: [mtlsservices/status, mtlsclients/status]
  verbs: [patch]
# An ownerReference with blockOwnerDeletion asks for this where the API server enforces it, as OpenShift's does.
- apiGroups: [mtls-operator.io]
  resources: [mtlsservices/finalizers, mtlsclients/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, update, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [services, serviceaccounts]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
# Workloads of `restart`; the admission policy …restarts allows one annotation of their pod template, nothing else.
- apiGroups: [apps]
  resources: [statefulsets, daemonsets]
  verbs: [get, patch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch]
- apiGroups: [""]
  resources: [events]
  verbs: [get, create, patch]
{{- end -}}

{{/* What it does in its own namespace: keep the authorities, and one Lease. */}}
{{- define "mtls-operator.rules.own" -}}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, list, watch, create, update]
{{- end -}}

{{/* What it does everywhere: see whether another installation still lives, and which of its own rights are missing. */}}
{{- define "mtls-operator.rules.cluster" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get]
- apiGroups: [authorization.k8s.io]
  resources: [selfsubjectaccessreviews]
  verbs: [create]
{{- end -}}

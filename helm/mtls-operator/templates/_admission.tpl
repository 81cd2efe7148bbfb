{{/* Only requests of the operator's own account are judged. */}}
{{- define "mtls-operator.admission.operatorOnly" -}}
- name: operator
  expression: request.userInfo.username == 'system:serviceaccount:{{ .Release.Namespace }}:{{ include "mtls-operator.fullname" . }}'
{{- end -}}

{{/*
CEL: whether an object is the operator's, from the name of the variable that holds it. Any mark will do, so that an
object can be healed that lost another one.
*/}}
{{- define "mtls-operator.admission.ours" -}}
({{ . }}.metadata.?labels[?'app.kubernetes.io/managed-by'].orValue('') == 'mtls-operator'
|| {{ . }}.metadata.?labels[?'mtls-operator.io/service-uid'].hasValue()
|| {{ . }}.metadata.?ownerReferences.orValue([]).exists(owner,
owner.kind == 'MTLSService' && owner.apiVersion.startsWith('mtls-operator.io/')))
{{- end -}}

{{- define "mtls-operator.admission.binding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ .name }}
  labels:
    {{- include "mtls-operator.labels" .root | nindent 4 }}
spec:
  policyName: {{ .name }}
  validationActions: [Deny]
{{- end -}}

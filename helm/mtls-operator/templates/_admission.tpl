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
owner.kind in ['MTLSService', 'MTLSClient'] && owner.apiVersion.startsWith('mtls-operator.io/')))
{{- end -}}

{{/* CEL: whether two maps, by the names of the variables that hold them, are equal but for the value of one key. */}}
{{- define "mtls-operator.admission.equalBut" -}}
{{- $new := index . 0 }}{{- $old := index . 1 }}{{- $key := index . 2 -}}
{{ $new }}.all(key, key == '{{ $key }}' || (key in {{ $old }} && {{ $old }}[key] == {{ $new }}[key]))
&& {{ $old }}.all(key, key == '{{ $key }}' || key in {{ $new }})
{{- end -}}

{{/* CEL variables, the last of which tells whether an update does no more than roll the pods of a workload. */}}
{{- define "mtls-operator.admission.rollsOnly" -}}
- name: spec
  expression: dyn(object).?spec.orValue({})
- name: oldSpec
  expression: dyn(oldObject).?spec.orValue({})
- name: template
  expression: variables.spec.?template.orValue({})
- name: oldTemplate
  expression: variables.oldSpec.?template.orValue({})
- name: podMetadata
  expression: variables.template.?metadata.orValue({})
- name: oldPodMetadata
  expression: variables.oldTemplate.?metadata.orValue({})
- name: podAnnotations
  expression: variables.podMetadata.?annotations.orValue({})
- name: oldPodAnnotations
  expression: variables.oldPodMetadata.?annotations.orValue({})
- name: annotations
  expression: object.metadata.?annotations.orValue({})
- name: oldAnnotations
  expression: oldObject.metadata.?annotations.orValue({})
# The API server itself counts the templates of a DaemonSet in an annotation.
- name: rollsOnly
  expression: >-
    object.metadata.?labels.orValue({}) == oldObject.metadata.?labels.orValue({})
    && object.metadata.?finalizers.orValue([]) == oldObject.metadata.?finalizers.orValue([])
    && object.metadata.?ownerReferences.orValue([]) == oldObject.metadata.?ownerReferences.orValue([])
    &&
    {{- include "mtls-operator.admission.equalBut" (list "variables.annotations" "variables.oldAnnotations" "deprecated.daemonset.template.generation") | nindent 4 }}
    &&
    {{- include "mtls-operator.admission.equalBut" (list "variables.spec" "variables.oldSpec" "template") | nindent 4 }}
    &&
    {{- include "mtls-operator.admission.equalBut" (list "variables.template" "variables.oldTemplate" "metadata") | nindent 4 }}
    &&
    {{- include "mtls-operator.admission.equalBut" (list "variables.podMetadata" "variables.oldPodMetadata" "annotations") | nindent 4 }}
    &&
    {{- include "mtls-operator.admission.equalBut" (list "variables.podAnnotations" "variables.oldPodAnnotations" "mtls-operator.io/restarted-for") | nindent 4 }}
{{- end -}}

{{/*
CEL: all that a spec refers to, from the name of the variable that holds it, as a list of 'verb resource name'. Lists in
lists are made flat by way of a string, which names of objects allow.
*/}}
{{- define "mtls-operator.admission.references" -}}
([?{{ . }}.?authority.?server.?secretRef.?name, ?{{ . }}.?authority.?client.?secretRef.?name]
+ {{ . }}.?trust.orValue([]).filter(source, has(source.secretRef)).map(source, source.secretRef.name)
+ ({{ . }}.?clients.orValue([]) + [{{ . }}]).map(client, client.?formats.orValue([])
.map(format, format.passwordSecretRef.name).join(' ')).join(' ').split(' ').filter(name, name != '')
).map(name, 'get secrets ' + name)
+ {{ . }}.?trust.orValue([]).filter(source, has(source.configMapRef))
.map(source, 'get configmaps ' + source.configMapRef.name)
+ ({{ . }}.?clients.orValue([]) + [{{ . }}]).map(client, client.?restart.orValue([])
.map(workload, 'patch ' + workload.kind.lowerAscii() + 's ' + workload.name).join('|')).join('|').split('|')
.filter(reference, reference != '')
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

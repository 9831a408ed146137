{{- /* Pods of this release, as a peer. Takes (root, label, value). */ -}}
{{- define "ridehail.own" -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
      {{ index . 1 }}: {{ index . 2 }}
{{- end }}

{{- /* Who calls by a name of access.yaml, as peers. Takes (root, suite, caller). */ -}}
{{- define "ridehail.caller" -}}
{{- $root := index . 0 }}{{ $suite := index . 1 }}{{ $name := index . 2 }}
{{- if or (eq $name $suite.gatewaySource) (has $name $suite.installed) }}
{{- include "ridehail.own" (list $root "ridehail/service" $name) }}
{{- else if hasKey $root.Values.callers $name }}
{{- toYaml (index $root.Values.callers $name) }}
{{- else if dig $name "peers" list $root.Values.services }}
{{- toYaml (index $root.Values.services $name).peers }}
{{- else }}
- podSelector: {matchLabels: {ridehail/caller: {{ $name }}}}
{{- end }}
{{- end }}

{{- /* A rule for some peers and ports. Takes (`from` or `to`, YAML of the peers, ports). */ -}}
{{- define "ridehail.rule" -}}
- {{ index . 0 }}:
  {{- index . 1 | nindent 2 }}
  ports:
  {{- range rest (rest .) }}
  - {port: {{ . }}, protocol: TCP}
  {{- end }}
{{- end }}

{{- /* What every pod that calls somebody needs. */ -}}
{{- define "ridehail.dns" -}}
- to:
  {{- toYaml .Values.networkPolicy.dns | nindent 2 }}
  ports:
  - {port: 53, protocol: UDP}
  - {port: 53, protocol: TCP}
{{- end }}

{{- define "ridehail.toDatabase" -}}
{{- $external := .Values.database.external }}
{{- if $external.enabled }}
{{- include "ridehail.rule" (list "to" (toYaml $external.peers) $external.port) }}
{{- else }}
{{- include "ridehail.rule" (list "to" (printf "- podSelector: {matchLabels: {cnpg.io/cluster: %s}}" (include "ridehail.database" .)) 5432) }}
{{- end }}
{{- end }}

{{- define "ridehail.fromPrometheus" -}}
{{- include "ridehail.rule" (list "from" (toYaml (index . 0).Values.monitoring.peers) (index . 1)) }}
{{- end }}

{{- /* Takes (root, component). */ -}}
{{- define "ridehail.policyHead" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "ridehail.name" . }}
  labels:
    {{- include "ridehail.labels" . | nindent 4 }}
spec:
  policyTypes: [Ingress, Egress]
  podSelector:
    matchLabels:
      {{- include "ridehail.selector" . | nindent 6 }}
{{- end }}

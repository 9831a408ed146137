{{- /* The name of an object of this release. Takes (root, what it is). */ -}}
{{- define "ridehail.name" -}}{{ printf "%s-%s" (index . 0).Release.Name (index . 1) }}{{- end }}

{{- /* What selects the pods of a component for ever. Takes (root, component). */ -}}
{{- define "ridehail.selector" -}}
app.kubernetes.io/name: ridehail
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- /* Takes (root, component). Not of pods: a new chart does not restart them. */ -}}
{{- define "ridehail.labels" -}}
{{ include "ridehail.selector" . }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* Takes (root, component, service). `app` is what the runbooks select by. */ -}}
{{- define "ridehail.podLabels" -}}
{{ include "ridehail.selector" . }}
app: {{ index . 1 }}
ridehail/service: {{ index . 2 }}
{{- end }}

{{- /* The tag of a component's image, by its wave. Takes (root, wave). */ -}}
{{- define "ridehail.tag" -}}
{{- $image := (index . 0).Values.image }}
{{- if and $image.previousTag (gt (int (index . 1)) (int $image.wave)) }}{{ $image.previousTag }}
{{- else }}{{ $image.tag | default (index . 0).Chart.AppVersion }}
{{- end }}
{{- end }}

{{- /* Takes (root, wave). */ -}}
{{- define "ridehail.image" -}}
{{- $root := index . 0 }}{{ $tag := include "ridehail.tag" . }}
{{- $isNew := eq $tag ($root.Values.image.tag | default $root.Chart.AppVersion) }}
{{- include "ridehail.reference" (dict "repository" $root.Values.image.repository "tag" $tag "digest" (ternary $root.Values.image.digest "" $isNew)) }}
{{- end }}

{{- /* Takes a repository, a tag and a digest. */ -}}
{{- define "ridehail.reference" -}}
{{ .repository }}:{{ .tag }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}

{{- /*
The ConfigMap that a component reads. Takes (root, wave). Each version of the servers has its own, and keeps it: the old ones
still run while the new ones start, and read no file that has settings which they do not know.
*/ -}}
{{- define "ridehail.configName" -}}
{{- include "ridehail.name" (list (index . 0) (printf "config-%s" (include "ridehail.tag" . | replace "_" "-"))) }}
{{- end }}

{{- /* The Secret of a service's certificate. Takes (root, service). */ -}}
{{- define "ridehail.certificate" -}}{{ include "ridehail.name" (list (index . 0) (printf "tls-%s" (index . 1))) }}{{- end }}

{{- define "ridehail.database" -}}{{ include "ridehail.name" (list . "database") }}{{- end }}

{{- define "ridehail.passwords" -}}
{{- .Values.database.passwordsSecret | default (include "ridehail.name" (list . "database-passwords")) }}
{{- end }}

{{- /* `host:port` of a service. Takes (root, suite, service). */ -}}
{{- define "ridehail.address" -}}
{{- $root := index . 0 }}{{ $suite := index . 1 }}{{ $name := index . 2 }}
{{- if has $name $suite.installed }}{{ include "ridehail.name" (list $root $name) }}:{{ $suite.ports.grpc }}
{{- else }}{{ (index $root.Values.services $name).address }}
{{- end }}
{{- end }}

{{- /* The variable that names addresses of services. Takes (root, suite, names). */ -}}
{{- define "ridehail.addresses" -}}
{{- $root := index . 0 }}{{ $suite := index . 1 }}{{ $all := list }}
{{- range index . 2 }}{{ $all = append $all (printf "%s=%s" . (include "ridehail.address" (list $root $suite .))) }}{{ end }}
- name: RIDEHAIL_ADDRESSES
  value: {{ join " " $all | quote }}
{{- end }}

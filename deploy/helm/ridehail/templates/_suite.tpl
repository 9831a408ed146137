{{- /* A configuration file in force: the one that ships, with what `config` says of it. Takes (root, name of the file). */ -}}
{{- define "ridehail.config" -}}
{{- $root := index . 0 }}{{ $name := index . 1 }}
{{- $shipped := $root.Files.Get (printf "files/config/%s" $name) }}
{{- with index $root.Values.config $name }}
{{- $merged := mergeOverwrite ($shipped | fromYaml) (deepCopy .) }}
{{- if hasSuffix ".json" $name }}{{ toPrettyJson $merged }}{{ else }}{{ toYaml $merged }}{{ end }}
{{- else }}{{ $shipped }}
{{- end }}
{{- end }}

{{- /* Puts what is derived into the values, once: every template needs it. */ -}}
{{- define "ridehail.suite" -}}
{{- if not (hasKey .Values "derived") }}
{{- $_ := set .Values "derived" (include "ridehail.derived" . | fromYaml) }}
{{- end }}
{{- end }}

{{- /*
What is installed, as YAML: the table of files/suite.yaml, and

  server: server.yaml in force
  installed: the services that this release runs
  callers: service -> who may call one of its methods, by access.yaml in force
  sources: all callers of access.yaml
  components: name of a Deployment -> service, role, wave, settings
*/ -}}
{{- define "ridehail.derived" -}}
{{- $root := . }}
{{- $suite := .Files.Get "files/suite.yaml" | fromYaml }}
{{- $access := include "ridehail.config" (list . "access.yaml") | fromYaml }}
{{- $installed := list }}{{ $callers := dict }}{{ $components := dict }}
{{- range $name, $service := $suite.services }}
  {{- $may := list }}
  {{- range $method, $sources := $access.methods }}
    {{- if has (splitList "/" $method | first) $service.contracts }}{{ $may = concat $may $sources }}{{ end }}
  {{- end }}
  {{- $_ := set $callers $name ($may | uniq | sortAlpha) }}
  {{- $own := index $root.Values.services $name | default dict }}
  {{- if dig "enabled" true $own }}
    {{- $installed = append $installed $name }}
    {{- $settings := mergeOverwrite (deepCopy $root.Values.server) (deepCopy ($own.server | default dict)) }}
    {{- $_ := set $components $name (dict "service" $name "role" "server" "wave" $service.wave "settings" $settings) }}
    {{- if $service.worker }}
      {{- $settings := mergeOverwrite (deepCopy $root.Values.worker) (deepCopy ($own.worker | default dict)) }}
      {{- $_ := set $components (printf "%s-worker" $name) (dict "service" $name "role" "worker" "wave" $suite.waves.workers "settings" $settings) }}
    {{- end }}
  {{- end }}
{{- end }}
{{- $server := include "ridehail.config" (list . "server.yaml") | fromYaml }}
{{- toYaml (merge $suite (dict "installed" $installed "callers" $callers "sources" $access.callers "components" $components "server" $server)) }}
{{- end }}

{{- /* How many connections to Postgres all processes may open at once, during an upgrade too. Takes the suite. */ -}}
{{- define "ridehail.connections" -}}
{{- $suite := . }}{{ $sum := 0 }}
{{- range $suite.components }}
  {{- if (index $suite.services .service).schema }}
    {{- $pods := ternary .settings.autoscaling.max .settings.replicas .settings.autoscaling.enabled | int }}
    {{- $sum = add $sum (mul (add $pods 1) (int .settings.processes) (int $suite.server.pool.max_size)) }}
  {{- end }}
{{- end }}
{{- $sum }}
{{- end }}

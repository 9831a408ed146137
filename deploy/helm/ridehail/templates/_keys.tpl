{{- /*
Keys: a Secret for the public and one for the private half of each ring, as `ridehail keys secrets` prints them, so that a pod
gets the private keys of its own service only. Each is mounted as a whole folder: then pods see a rotation without a restart. What
is a file of its own (gateway.key) running pods do not see changed.
*/ -}}

{{- /* Takes (root, name of the ring, whether its private half is needed). */ -}}
{{- define "ridehail.ringVolume" -}}
{{- $prefix := (index . 0).Values.keys.prefix }}{{ $ring := index . 1 }}
- name: ring-{{ $ring }}
  projected:
    defaultMode: 0440
    sources:
    {{- if index . 2 }}
    - secret: {name: {{ $prefix }}-{{ $ring }}}
    {{- end }}
    # A caller that does not exist here has no keys.
    - secret: {name: {{ $prefix }}-{{ $ring }}-public, optional: {{ not (index . 2) }}}
{{- end }}

{{- /* The volumes of a service's keys. Takes (root, suite, service). */ -}}
{{- define "ridehail.keyVolumes" -}}
{{- $root := index . 0 }}{{ $suite := index . 1 }}{{ $service := index $suite.services (index . 2) }}
{{- range $suite.sources | sortAlpha }}
{{- include "ridehail.ringVolume" (list $root . (has . $service.signsAs)) }}
{{- end }}
{{- if $service.sessions }}
- name: ring-sessions
  secret: {secretName: {{ $root.Values.keys.prefix }}-sessions-public, defaultMode: 0440}
{{- end }}
{{- range $service.secretFiles }}
- name: {{ . | replace "." "-" }}
  secret: {secretName: {{ $root.Values.keys.prefix }}-{{ . | replace "." "-" }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{- define "ridehail.keyMounts" -}}
{{- $suite := index . 1 }}{{ $service := index $suite.services (index . 2) }}
{{- range $suite.sources | sortAlpha }}
- {name: ring-{{ . }}, mountPath: /etc/ridehail/keys/tickets/{{ . }}, readOnly: true}
{{- end }}
{{- if $service.sessions }}
- {name: ring-sessions, mountPath: /etc/ridehail/keys/sessions, readOnly: true}
{{- end }}
{{- range $service.secretFiles }}
- {name: {{ . | replace "." "-" }}, mountPath: /etc/ridehail/keys/{{ . }}, subPath: {{ . }}, readOnly: true}
{{- end }}
{{- end }}

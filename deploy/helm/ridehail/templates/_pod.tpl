{{- /* Nothing of a pod is root's, and nothing is written but where it says. */ -}}
{{- define "ridehail.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  # As in the image.
  runAsUser: 10001
  runAsGroup: 10001
  # Secrets are mounted as root's and this group's.
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "ridehail.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- /* Where pods run. Takes (root, component, settings). */ -}}
{{- define "ridehail.placement" -}}
{{- $root := index . 0 }}{{ $component := index . 1 }}{{ $settings := index . 2 }}
topologySpreadConstraints:
{{- range $key, $when := dict "topology.kubernetes.io/zone" $root.Values.spread.zones "kubernetes.io/hostname" $root.Values.spread.hosts }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: {{ $when }}
  labelSelector:
    matchLabels:
      {{- include "ridehail.selector" (list $root $component) | nindent 6 }}
  # The pods of a new version are spread among themselves.
  matchLabelKeys: [pod-template-hash]
{{- end }}
{{- with $settings.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $settings.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $settings.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $settings.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- /* How to reach Postgres, as `user`. Takes (root, user, Secret of the password, its key). */ -}}
{{- define "ridehail.databaseEnv" -}}
{{- $root := index . 0 }}{{ $user := index . 1 }}
{{- toYaml (list (merge (dict "name" "PGUSER") $user)) }}
- name: PGPASSWORD
  valueFrom: {secretKeyRef: {name: {{ index . 2 }}, key: {{ index . 3 }}}}
- name: RIDEHAIL_DATABASE_URL
  {{- if $root.Values.database.external.enabled }}
  value: {{ $root.Values.database.external.url | quote }}
  {{- else }}
  value: postgresql://{{ include "ridehail.database" $root }}-rw:5432/ridehail?sslmode=verify-full
  {{- end }}
{{- with include "ridehail.databaseCa" $root }}
- name: PGSSLROOTCERT
  value: /etc/ridehail/database/ca.crt
{{- end }}
{{- end }}

{{- /* The Secret and its key of the authority of Postgres' certificate, or nothing. */ -}}
{{- define "ridehail.databaseCa" -}}
{{- if not .Values.database.external.enabled }}{{ include "ridehail.database" . }}-ca ca.crt
{{- else if .Values.database.external.caSecret.name }}{{ .Values.database.external.caSecret.name }} {{ .Values.database.external.caSecret.key }}
{{- end }}
{{- end }}

{{- define "ridehail.databaseCaVolume" -}}
{{- with include "ridehail.databaseCa" . }}
- name: database-ca
  secret:
    secretName: {{ splitList " " . | first }}
    items: [{key: {{ splitList " " . | last }}, path: ca.crt}]
{{- end }}
{{- end }}

{{- define "ridehail.databaseCaMount" -}}
{{- with include "ridehail.databaseCa" . }}
- {name: database-ca, mountPath: /etc/ridehail/database, readOnly: true}
{{- end }}
{{- end }}

{{- /* Takes (root, service). */ -}}
{{- define "ridehail.tlsVolume" -}}
{{- if (index . 0).Values.tls.enabled }}
- name: tls
  secret:
    secretName: {{ include "ridehail.certificate" . }}
    defaultMode: 0440
    items: [{key: ca.crt, path: ca.pem}, {key: tls.crt, path: cert.pem}, {key: tls.key, path: key.pem}]
{{- end }}
{{- end }}

{{- define "ridehail.tlsMount" -}}
{{- if .Values.tls.enabled }}
- {name: tls, mountPath: /etc/ridehail/tls, readOnly: true}
{{- end }}
{{- end }}

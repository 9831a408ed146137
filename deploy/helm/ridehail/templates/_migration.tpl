{{- /* The pod that migrates. Takes (root, suite, services, Secret of the owner). */ -}}
{{- define "ridehail.migrationPod" -}}
{{- $root := index . 0 }}{{ $suite := index . 1 }}{{ $services := index . 2 }}{{ $owner := index . 3 }}
{{- $image := include "ridehail.image" (list $root 0) }}
restartPolicy: OnFailure
serviceAccountName: {{ include "ridehail.name" (list $root "migrate") }}
{{- include "ridehail.podSecurity" $root | nindent 0 }}
initContainers:
# A file that the new version refuses stops an upgrade here, before anything has changed.
- name: check-config
  image: {{ $image }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  args: [config, check]
  {{- include "ridehail.containerSecurity" $root | nindent 2 }}
  env:
  - {name: RIDEHAIL_CONFIG_DIR, value: /etc/ridehail/config}
  resources: &resources
    {{- toYaml $root.Values.migration.resources | nindent 4 }}
  volumeMounts:
  - {name: tmp, mountPath: /tmp}
  - {name: config, mountPath: /etc/ridehail/config, readOnly: true}
containers:
- name: migrate
  image: {{ $image }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  args: {{ concat (list "migrate") $services (list "--with-roles" "--role-passwords" "/etc/ridehail/passwords") | toJson }}
  {{- include "ridehail.containerSecurity" $root | nindent 2 }}
  env:
  {{- include "ridehail.databaseEnv" (list $root (dict "valueFrom" (dict "secretKeyRef" (dict "name" $owner.name "key" $owner.userKey))) $owner.name $owner.passwordKey) | nindent 2 }}
  {{- with $root.Values.migration.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  resources: *resources
  volumeMounts:
  - {name: tmp, mountPath: /tmp}
  - {name: passwords, mountPath: /etc/ridehail/passwords, readOnly: true}
  {{- include "ridehail.databaseCaMount" $root | nindent 2 }}
volumes:
- {name: tmp, emptyDir: {sizeLimit: 64Mi}}
- name: config
  configMap: {name: {{ include "ridehail.configName" (list $root 0) }}}
- name: passwords
  secret:
    secretName: {{ include "ridehail.passwords" $root }}
    defaultMode: 0440
    items:
    {{- range $services }}
    - {key: ridehail_{{ (index $suite.services .).schema }}, path: {{ . }}/pgpass}
    {{- end }}
{{- include "ridehail.databaseCaVolume" $root | nindent 0 }}
{{- end }}

{{/*
The volumes of a pod. Those of the sources hold a directory for each, named by its number. All are optional, because the
secret that one source lacks would otherwise keep the pods of all others from starting.
*/}}
{{- define "walproof.baselineVolumes" -}}
- name: work
  emptyDir: {sizeLimit: 64Mi}
- name: source-password
  projected:
    defaultMode: 0440
    sources:
    {{- range $index, $source := .Values.config.sources }}
    - secret: {name: {{ dig $source.name "baseline" "existingSecret" "" $.Values.sources | quote }}, items: [{key: password, path: {{ $index }}/password}], optional: true}
    {{- end }}
{{- with include "walproof.authorities" . }}
- name: source-ca
  projected:
    defaultMode: 0440
    sources:
    {{- . | trim | nindent 4 }}
{{- end }}
{{- end -}}

{{- define "walproof.tokenVolumes" -}}
- name: configuration
  configMap: {name: {{ include "walproof.fullname" . }}}
{{- with include "walproof.storeKeys" . }}
- name: store-key
  projected:
    defaultMode: 0440
    sources:
    {{- . | trim | nindent 4 }}
{{- end }}
{{- range $channel := list "pushgateway" "forgejo" "webhook" }}
{{- with get $.Values.publish $channel }}
{{- with .existingSecret }}
- name: {{ $channel }}
  secret: {secretName: {{ . | quote }}, defaultMode: 0440, optional: true}
{{- end }}
{{- with .authority }}
- name: {{ $channel }}-ca
  projected:
    defaultMode: 0440
    sources:
    - {{ include "walproof.authority" (dict "authority" . "path" "ca.crt") }}
{{- end }}
{{- end }}
{{- end }}
- name: api-token
  projected:
    defaultMode: 0440
    sources:
    - serviceAccountToken: {path: token, expirationSeconds: 3600}
    - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
    - downwardAPI: {items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The sources' authorities and keys as sources of a projected volume; empty when no source has one. */}}
{{- define "walproof.authorities" -}}
{{- range $index, $source := .Values.config.sources }}
{{- with dig $source.name "authority" dict $.Values.sources }}
- {{ include "walproof.authority" (dict "authority" . "path" (printf "%d/ca.crt" $index)) }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "walproof.authority" -}}
{{- $items := printf "items: [{key: ca.crt, path: %s}], optional: true" .path -}}
{{- if .authority.existingConfigMap -}}
configMap: {name: {{ .authority.existingConfigMap | quote }}, {{ $items }}}
{{- else -}}
secret: {name: {{ .authority.existingSecret | quote }}, {{ $items }}}
{{- end -}}
{{- end -}}

{{- define "walproof.storeKeys" -}}
{{- range $index, $source := .Values.config.sources }}
{{- with dig $source.name "store" dict $.Values.sources }}
- secret: {name: {{ .existingSecret | quote }}, items: [{key: ACCESS_KEY_ID, path: {{ $index }}/ACCESS_KEY_ID}, {key: ACCESS_SECRET_KEY, path: {{ $index }}/ACCESS_SECRET_KEY}], optional: true}
{{- end }}
{{- end }}
{{- end -}}

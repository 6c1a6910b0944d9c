{{/* What is the same for each pod; `root` and its `component`. */}}
{{- define "walproof.podMetadata" -}}
metadata:
  labels:
    {{- include "walproof.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
    {{- with .root.Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    {{- /* A sidecar would keep the job alive. */}}
    {{- toYaml (mergeOverwrite (dict "sidecar.istio.io/inject" "false") .root.Values.podAnnotations) | nindent 4 }}
{{- end -}}

{{/* The settings of each pod; `root` and `graceSeconds`, how long it may take when it is stopped. */}}
{{- define "walproof.podSettings" -}}
{{- $graceSeconds := .graceSeconds -}}
{{- with .root -}}
serviceAccountName: {{ include "walproof.fullname" . }}
automountServiceAccountToken: false
restartPolicy: Never
terminationGracePeriodSeconds: {{ $graceSeconds }}
securityContext:
  {{- if .Values.openshift.restrictedV2 }}
  {{- toYaml (omit .Values.podSecurityContext "runAsUser" "runAsGroup" "fsGroup") | nindent 2 }}
  {{- else }}
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
  {{- end }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What is the same for each container. */}}
{{- define "walproof.container" -}}
{{- with .Values.image -}}
image: {{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ default $.Chart.AppVersion .tag }}{{ end }}
imagePullPolicy: {{ .pullPolicy }}
{{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{/*
The init container with the database's password, and nothing else of the kind: no API token, no key of the object store.
Of each volume of secrets it sees the directory of its own source alone, whose number Kubernetes puts into the variable.
*/}}
{{- define "walproof.baselineContainer" -}}
- name: baseline
  {{- include "walproof.container" . | nindent 2 }}
  args: [baseline, --config, /etc/walproof/walproof.yaml, --output-file, /work/baseline.json, --always-write]
  volumeMounts:
  - {name: configuration, mountPath: /etc/walproof, readOnly: true}
  - {name: work, mountPath: /work}
  - {name: source-password, mountPath: /secrets/source, subPathExpr: $(JOB_COMPLETION_INDEX), readOnly: true}
  {{- if include "walproof.authorities" . }}
  - {name: source-ca, mountPath: /secrets/source-ca, subPathExpr: $(JOB_COMPLETION_INDEX), readOnly: true}
  {{- end }}
{{- end -}}

{{/* What is mounted into a container that has the API token: drill, check, preflight. */}}
{{- define "walproof.tokenMounts" -}}
- {name: configuration, mountPath: /etc/walproof, readOnly: true}
{{- if include "walproof.storeKeys" . }}
- {name: store-key, mountPath: /secrets/store, subPathExpr: $(JOB_COMPLETION_INDEX), readOnly: true}
{{- end }}
{{- range $channel := list "pushgateway" "forgejo" "webhook" }}
{{- with get $.Values.publish $channel }}
{{- if .existingSecret }}
- {name: {{ $channel }}, mountPath: /secrets/{{ $channel }}, readOnly: true}
{{- end }}
{{- if .authority }}
- {name: {{ $channel }}-ca, mountPath: /secrets/{{ $channel }}-ca, readOnly: true}
{{- end }}
{{- end }}
{{- end }}
- {name: api-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "walproof.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/*
The release's own name. Of 63 letters of a pod's host name, the CronJob controller takes 11, the longest suffix here 6
(-drill), and an index with its hyphen up to 6: with more, a Job of many sources is refused.
*/}}
{{- define "walproof.fullname" -}}
{{- $name := include "walproof.name" . -}}
{{- $fullname := .Values.fullnameOverride -}}
{{- if not $fullname -}}
{{- /* A long release name loses letters of its own: alerts know the CronJobs by the chart's. */}}
{{- $release := .Release.Name | trunc (max 1 (sub 39 (len $name)) | int) | trimSuffix "-" -}}
{{- $fullname = ternary $release (printf "%s-%s" $release $name) (contains $name $release) -}}
{{- end -}}
{{- $fullname | lower | replace "." "-" | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "walproof.selectorLabels" -}}
app.kubernetes.io/name: {{ include "walproof.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "walproof.labels" -}}
{{ include "walproof.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* The ConfigMap with one source's history, named as walproof itself names it (src/history/config_map.rs). */}}
{{- define "walproof.historyName" -}}
walproof-history-{{ . | lower | replace "_" "-" }}
{{- end -}}

{{/* A source's Cluster in CloudNativePG. */}}
{{- define "walproof.cluster" -}}
{{- dig "archive" "fromCluster" "cluster" "" . | default .name -}}
{{- end -}}

{{- define "walproof.sandboxNamespace" -}}
{{- .Values.config.sandbox.operator.namespace -}}
{{- end -}}

{{- define "walproof.subject" -}}
- {kind: ServiceAccount, name: {{ include "walproof.fullname" . }}, namespace: {{ .Release.Namespace }}}
{{- end -}}

{{/*
A Job with one pod for each source: `root`, its `parallelism`. Whatever becomes of one, the others have their turn: a pod
that failed is a result, and its repetition is the next schedule's; only one that the cluster itself ended is begun again.
*/}}
{{- define "walproof.indexed" -}}
{{- $sources := len .root.Values.config.sources -}}
completionMode: Indexed
completions: {{ $sources }}
parallelism: {{ min .parallelism $sources }}
backoffLimitPerIndex: 0
backoffLimit: {{ $sources }}
podFailurePolicy:
  rules:
  - action: Ignore
    onPodConditions: [{type: DisruptionTarget, status: "True"}]
  - action: FailIndex
    onExitCodes: {operator: In, values: [1, 2, 3, 64, 70]}
{{- end -}}

{{/* The settings of a CronJob that users choose; the limits of the histories may be 0. */}}
{{- define "walproof.schedule" -}}
{{- $job := .job -}}
schedule: {{ $job.schedule | quote }}
timeZone: {{ .root.Values.timeZone | quote }}
suspend: {{ $job.suspend }}
concurrencyPolicy: Forbid
startingDeadlineSeconds: {{ $job.startingDeadlineSeconds }}
{{- range $limit := list "successfulJobsHistoryLimit" "failedJobsHistoryLimit" }}
{{- if not (kindIs "invalid" (index $job $limit)) }}
{{ $limit }}: {{ index $job $limit }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A duration as walproof writes it (4h, 1h30m), in seconds. */}}
{{- define "walproof.seconds" -}}
{{- $text := toString . -}}
{{- if or (eq $text "") (not (regexMatch "^([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$" $text)) -}}
{{- fail (printf "`%s` is not a duration that a deadline can be made of: write whole numbers with their units w, d, h, m, s, the longest first, for example 4h or 1h30m" $text) -}}
{{- end -}}
{{- $units := dict "w" 604800 "d" 86400 "h" 3600 "m" 60 "s" 1 -}}
{{- $seconds := 0 -}}
{{- range $part := regexFindAll "[0-9]+[wdhms]" $text -1 -}}
{{- $number := regexFind "[0-9]+" $part -}}
{{- $seconds = add $seconds (mul (atoi $number) (get $units (trimPrefix $number $part))) -}}
{{- end -}}
{{- $seconds -}}
{{- end -}}

{{/* How long a stopped drill may take to remove what it made. */}}
{{- define "walproof.graceSeconds" -}}300{{- end -}}

{{/* The same for a pod that makes nothing. */}}
{{- define "walproof.shortGraceSeconds" -}}30{{- end -}}

{{/*
What one source's drill is given: its two limits, and half an hour for sweep, images, tear-down and the grace period. All
deadlines are made of it.
*/}}
{{- define "walproof.drillSeconds" -}}
{{- $limits := .Values.config.limits -}}
{{- add (include "walproof.seconds" $limits.drill) (include "walproof.seconds" $limits.baseline) 1800 -}}
{{- end -}}

{{/* How often `parallelism` sources are begun until all have had their turn. */}}
{{- define "walproof.rounds" -}}
{{- $parallelism := int .parallelism -}}
{{- div (add .sources $parallelism -1) $parallelism -}}
{{- end -}}

{{/*
walproof's configuration as the pods get it: config, with what the chart knows filled in where it is left out. Mistakes are
looked for in _mistakes.tpl.
*/}}
{{- define "walproof.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- range $source := $config.sources -}}
{{- $known := get $.Values.sources $source.name | default dict -}}
{{- include "walproof.fillArchive" (dict "source" $source "known" $known) -}}
{{- include "walproof.fillConnection" (dict "source" $source "known" $known) -}}
{{- end -}}
{{- include "walproof.fillPublish" (dict "told" $config.publish "known" .Values.publish) -}}
{{- if not $config.publish -}}{{- $_ := unset $config "publish" -}}{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{- define "walproof.fillArchive" -}}
{{- if not .source.archive -}}{{- $_ := set .source "archive" (dict "fromCluster" dict) -}}{{- end -}}
{{- $cluster := .source.archive.fromCluster -}}
{{- if and (dig "store" "existingSecret" "" .known) (not $cluster.credentials) -}}
{{- $files := dict "accessKeyId" "/secrets/store/ACCESS_KEY_ID" "secretAccessKey" "/secrets/store/ACCESS_SECRET_KEY" -}}
{{- $_ := set $cluster "credentials" (dict "files" $files) -}}
{{- end -}}
{{- end -}}

{{- define "walproof.fillConnection" -}}
{{- if not .source.connection -}}{{- $_ := set .source "connection" dict -}}{{- end -}}
{{- $connection := .source.connection -}}
{{- if not $connection.host -}}
{{- $_ := set $connection "host" (printf "%s-rw.%s.svc" (include "walproof.cluster" .source) .source.namespace) -}}
{{- end -}}
{{- if not $connection.user -}}{{- $_ := set $connection "user" "walproof" -}}{{- end -}}
{{- $_ := set $connection "passwordFile" "/secrets/source/password" -}}
{{- if and .known.authority (not $connection.tls) -}}
{{- $_ := set $connection "tls" (dict "caFile" "/secrets/source-ca/ca.crt") -}}
{{- end -}}
{{- end -}}

{{- define "walproof.fillPublish" -}}
{{- range $channel := list "pushgateway" "forgejo" "webhook" -}}
{{- $told := get $.told $channel -}}
{{- $known := get $.known $channel | default dict -}}
{{- if $told -}}
{{- if and $known.authority (not $told.caFile) -}}
{{- $_ := set $told "caFile" (printf "/secrets/%s-ca/ca.crt" $channel) -}}
{{- end -}}
{{- if $known.existingSecret -}}
{{- $directory := printf "/secrets/%s" $channel -}}
{{- with dig "authorization" "basic" dict $told -}}
{{- if not .passwordEnv -}}{{- $_ := set . "passwordFile" (default (printf "%s/password" $directory) .passwordFile) -}}{{- end -}}
{{- end -}}
{{- if and (hasKey (dig "authorization" dict $told) "bearer") -}}
{{- $bearer := $told.authorization.bearer -}}
{{- if not $bearer.tokenEnv -}}{{- $_ := set $bearer "tokenFile" (default (printf "%s/token" $directory) $bearer.tokenFile) -}}{{- end -}}
{{- end -}}
{{- if and (eq $channel "forgejo") (not $told.tokenEnv) -}}
{{- $_ := set $told "tokenFile" (default (printf "%s/token" $directory) $told.tokenFile) -}}
{{- end -}}
{{- if and (eq $channel "webhook") (not $told.url) -}}
{{- $_ := set $told "urlFile" (default (printf "%s/url" $directory) $told.urlFile) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

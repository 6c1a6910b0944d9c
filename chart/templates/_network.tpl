{{/* Where the API server is: {"cidrs": […], "port": …}, from the values, or else as the cluster itself says. */}}
{{- define "walproof.apiServer" -}}
{{- $cidrs := .Values.networkPolicy.apiServer.cidrs -}}
{{- $port := .Values.networkPolicy.apiServer.port -}}
{{- if not $cidrs -}}
{{- $slices := lookup "discovery.k8s.io/v1" "EndpointSlice" "default" "" -}}
{{- range $slice := $slices.items | default list -}}
{{- if eq (dig "metadata" "labels" "kubernetes.io/service-name" "" $slice) "kubernetes" -}}
{{- range $endpoint := $slice.endpoints -}}
{{- range $address := $endpoint.addresses -}}
{{- $cidrs = append $cidrs (printf "%s/%s" $address (ternary "128" "32" (contains ":" $address))) -}}
{{- end -}}
{{- end -}}
{{- $port = (first $slice.ports).port -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "cidrs" $cidrs "port" $port | toJson -}}
{{- end -}}

{{/* The peers of a rule, of `namespace`, `podLabels` and `cidrs`, as a YAML list. */}}
{{- define "walproof.peers" -}}
{{- if .namespace }}
- namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .namespace | quote }}}}
  {{- with .podLabels }}
  podSelector: {matchLabels: {{ toJson . }}}
  {{- end }}
{{- end }}
{{- range .cidrs }}
- ipBlock: {cidr: {{ . | quote }}}
{{- end }}
{{- end -}}

{{/* What both the job and the sandbox may reach. */}}
{{- define "walproof.commonEgress" -}}
{{- $network := .Values.networkPolicy -}}
{{- $apiServer := fromJson (include "walproof.apiServer" .) -}}
- to:
  {{- include "walproof.peers" $network.dns | trim | nindent 2 }}
  ports: [{port: {{ $network.dns.port }}, protocol: UDP}, {port: {{ $network.dns.port }}}]
- to:
  {{- include "walproof.peers" (dict "cidrs" $apiServer.cidrs) | trim | nindent 2 }}
  ports: [{port: {{ $apiServer.port }}}]
- to:
  {{- include "walproof.peers" $network.store | trim | nindent 2 }}
  ports: [{port: {{ $network.store.port }}}]
{{- end -}}

{{/* Fails with every mistake in the values that their schema cannot see. */}}
{{- define "walproof.refuseMistakes" -}}
{{- $found := dict "mistakes" list -}}
{{- $arguments := dict "root" . "found" $found -}}
{{- include "walproof.mistakesInSources" $arguments -}}
{{- include "walproof.mistakesInPublish" $arguments -}}
{{- include "walproof.mistakesInNetwork" $arguments -}}
{{- with $found.mistakes -}}
{{- fail (printf "the values cannot be used:\n- %s" (join "\n- " .)) -}}
{{- end -}}
{{- end -}}

{{- define "walproof.mistake" -}}
{{- $_ := set .found "mistakes" (append .found.mistakes .text) -}}
{{- end -}}

{{- define "walproof.mistakesInSources" -}}
{{- $root := .root -}}
{{- $found := .found -}}
{{- $histories := dict -}}
{{- range $source := $root.Values.config.sources -}}
{{- $name := $source.name -}}
{{- $history := include "walproof.historyName" $name -}}
{{- if hasKey $histories $history -}}
{{- include "walproof.mistake" (dict "found" $found "text" (printf "config.sources: `%s` and `%s` would have the same history: give one another name" (get $histories $history) $name)) -}}
{{- end -}}
{{- $_ := set $histories $history $name -}}
{{- if eq $source.namespace (include "walproof.sandboxNamespace" $root) -}}
{{- include "walproof.mistake" (dict "found" $found "text" (printf "config.sandbox.operator.namespace: `%s` is the namespace of the source `%s`; a sandbox needs one of its own" $source.namespace $name)) -}}
{{- end -}}
{{- if eq $source.namespace $root.Release.Namespace -}}
{{- include "walproof.mistake" (dict "found" $found "text" (printf "config.sources: `%s` runs in the release's own namespace %s, where walproof may write its histories, and it refuses to drill where it may write: install it elsewhere" $name $source.namespace)) -}}
{{- end -}}
{{- if hasKey $root.Values.sources $name -}}
{{- include "walproof.mistakesInSource" (dict "found" $found "source" $source "known" (get $root.Values.sources $name)) -}}
{{- else -}}
{{- include "walproof.mistake" (dict "found" $found "text" (printf "sources: `%s` is missing, a source of `config.sources`: name the Secret with its database role's password, sources: {%s: {baseline: {existingSecret: …}}}" $name $name)) -}}
{{- end -}}
{{- end -}}
{{- $names := list -}}
{{- range $root.Values.config.sources -}}{{- $names = append $names .name -}}{{- end -}}
{{- range $name, $known := $root.Values.sources -}}
{{- if not (has $name $names) -}}
{{- include "walproof.mistake" (dict "found" $found "text" (printf "sources: `%s` is no source of `config.sources`" $name)) -}}
{{- end -}}
{{- end -}}
{{- if eq $root.Release.Namespace (include "walproof.sandboxNamespace" $root) -}}
{{- include "walproof.mistake" (dict "found" $found "text" (printf "config.sandbox.operator.namespace: `%s` is the release's own, where the job's secrets are; a sandbox needs another" $root.Release.Namespace)) -}}
{{- end -}}
{{- end -}}

{{- define "walproof.mistakesInSource" -}}
{{- $name := .source.name -}}
{{- $connection := .source.connection | default dict -}}
{{- $credentials := dig "archive" "fromCluster" "credentials" dict .source -}}
{{- $store := dig "store" "existingSecret" "" .known -}}
{{- if and $connection.passwordFile (ne $connection.passwordFile "/secrets/source/password") -}}
{{- include "walproof.mistake" (dict "found" .found "text" (printf "config.sources: connection.passwordFile of `%s` must be /secrets/source/password, where its Secret is mounted: leave it out" $name)) -}}
{{- end -}}
{{- if $connection.passwordEnv -}}
{{- include "walproof.mistake" (dict "found" .found "text" (printf "config.sources: connection.passwordEnv of `%s` is not possible here: sources.%s.baseline.existingSecret is mounted as a file" $name $name)) -}}
{{- end -}}
{{- if and (not $connection.tls) (not .known.authority) -}}
{{- include "walproof.mistake" (dict "found" .found "text" (printf "sources: `%s` lacks `authority`: name the ConfigMap (existingConfigMap) or Secret (existingSecret) whose ca.crt signed the database's certificate, or say connection.tls in its configuration" $name)) -}}
{{- end -}}
{{- if and $connection.tls .known.authority (ne (toJson $connection.tls) (toJson (dict "caFile" "/secrets/source-ca/ca.crt"))) -}}
{{- include "walproof.mistake" (dict "found" .found "text" (printf "sources: `authority` of `%s` and its connection.tls exclude each other: keep one" $name)) -}}
{{- end -}}
{{- if and $store $credentials (ne (toJson $credentials) (toJson (dict "files" (dict "accessKeyId" "/secrets/store/ACCESS_KEY_ID" "secretAccessKey" "/secrets/store/ACCESS_SECRET_KEY")))) -}}
{{- include "walproof.mistake" (dict "found" .found "text" (printf "sources: `store` of `%s` and its archive.fromCluster.credentials exclude each other: keep one" $name)) -}}
{{- end -}}
{{- if not (or $store $credentials .known.productionKey) -}}
{{- include "walproof.mistake" (dict "found" .found "text" (printf "sources: `%s` has no key of the object store: name a Secret with a read-only one (store.existingSecret), or production's own (productionKey.existingSecret)" $name)) -}}
{{- end -}}
{{- end -}}

{{- define "walproof.mistakesInPublish" -}}
{{- $found := .found -}}
{{- $told := .root.Values.config.publish | default dict -}}
{{- $known := .root.Values.publish -}}
{{- range $channel := list "pushgateway" "forgejo" "webhook" -}}
{{- if and (get $known $channel) (not (get $told $channel)) -}}
{{- include "walproof.mistake" (dict "found" $found "text" (printf "publish: `%s` has secrets, and config.publish.%s says nothing" $channel $channel)) -}}
{{- end -}}
{{- end -}}
{{- range $channel := list "pushgateway" "webhook" -}}
{{- range $kind, $right := dig "authorization" dict (get $told $channel | default dict) -}}
{{- if not (or $right.passwordFile $right.passwordEnv $right.tokenFile $right.tokenEnv (dig $channel "existingSecret" "" $known)) -}}
{{- include "walproof.mistake" (dict "found" $found "text" (printf "publish: `%s` lacks existingSecret, a Secret for its authorization" $channel)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $told.forgejo -}}
{{- if not (or .tokenFile .tokenEnv (dig "forgejo" "existingSecret" "" $known)) -}}
{{- include "walproof.mistake" (dict "found" $found "text" "publish: `forgejo` lacks existingSecret, a Secret with a `token`") -}}
{{- end -}}
{{- end -}}
{{- with $told.webhook -}}
{{- if not (or .url .urlFile (dig "webhook" "existingSecret" "" $known)) -}}
{{- include "walproof.mistake" (dict "found" $found "text" "config.publish: `webhook` lacks a `url`, or publish.webhook.existingSecret, a Secret with one") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "walproof.mistakesInNetwork" -}}
{{- $found := .found -}}
{{- $network := .root.Values.networkPolicy -}}
{{- $store := $network.store -}}
{{- if $network.enabled -}}
{{- $peers := dict "networkPolicy.dns" $network.dns "networkPolicy.operator" $network.operator -}}
{{- range $index, $peer := $network.publish -}}{{- $_ := set $peers (printf "networkPolicy.publish[%d]" $index) $peer -}}{{- end -}}
{{- range $key, $peer := $peers -}}
{{- if not (or $peer.namespace $peer.cidrs) -}}
{{- include "walproof.mistake" (dict "found" $found "text" (printf "%s: a peer without namespace and cidrs would be everybody: say one of them" $key)) -}}
{{- end -}}
{{- end -}}
{{- if not (or $store.namespace $store.cidrs) -}}
{{- include "walproof.mistake" (dict "found" $found "text" "networkPolicy.store: where is the object store? Say {namespace: …, podLabels: {…}, port: …} for one in this cluster, {cidrs: […], port: 443} for another; or leave all open with networkPolicy.enabled: false") -}}
{{- end -}}
{{- if not (fromJson (include "walproof.apiServer" .root)).cidrs -}}
{{- include "walproof.mistake" (dict "found" $found "text" "networkPolicy.apiServer.cidrs: the API server's addresses cannot be looked up here: write them, with /32, as `kubectl -n default get endpointslices -l kubernetes.io/service-name=kubernetes` shows them") -}}
{{- end -}}
{{- end -}}
{{- if and $network.storeIngress.enabled (not (and $store.namespace $store.podLabels)) -}}
{{- include "walproof.mistake" (dict "found" $found "text" "networkPolicy.storeIngress: only pods can be opened: say networkPolicy.store.namespace and podLabels") -}}
{{- end -}}
{{- end -}}

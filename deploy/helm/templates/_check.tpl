{{/* What the schema can't say. All mistakes are reported at once. */}}
{{- define "check" -}}
{{- $wrong := list -}}

{{- if not (regexMatch "^[a-z][-a-z0-9]*$" .Release.Name) -}}
  {{- $wrong = append $wrong (printf
    "the release is named %s: a Service's name begins with a letter, and has no full stop" .Release.Name) -}}
{{- end -}}
{{- if and .Values.spool.durable (gt (len .Release.Name) 52) -}}
  {{- $wrong = append $wrong "with spool.durable the release's name can have 52 characters: a pod's label has it, and a hash" -}}
{{- end -}}

{{- if not .Values.secretName -}}
  {{- $wrong = append $wrong (print
    "secretName is not set: name the Secret with the vendors' secrets. To make one:\n"
    "      kubectl create secret generic webhook-bridge --from-file=" (join " --from-file=" (default (list "FILE") .Values.vendors))) -}}
{{- end -}}

{{- $values := dict
  "NATS_URL" "nats.url"
  "NATS_USER" "nats.user"
  "NATS_PASSWORD" "nats.secretName, with the key password"
  "NATS_CREDS" "nats.files"
  "NATS_NKEY" "nats.files"
  "NATS_CA" "nats.files"
  "NATS_CERT" "nats.files"
  "NATS_KEY" "nats.files"
  "SPOOL_MAX_BYTES" "spool.gib"
  "SHUTDOWN_DELAY" "shutdown.delay"
  "SHUTDOWN_TIMEOUT" "shutdown.timeout"
  "SPOOL_DRAIN_TIMEOUT" "shutdown.drain" -}}
{{- $endpoint := not (empty .Values.vendors) -}}
{{- range $name, $_ := .Values.settings -}}
  {{- if has $name (list "NATS_TOKEN" "OTEL_EXPORTER_OTLP_HEADERS" "OTEL_EXPORTER_OTLP_TRACES_HEADERS") -}}
    {{- $wrong = append $wrong (printf
      "settings.%s: a token doesn't belong in values; put it into the Secret settingsSecretName, under this name" $name) -}}
  {{- else if hasKey $values $name -}}
    {{- $wrong = append $wrong (printf
      "settings.%s: the chart sets this variable; use %s" $name (get $values $name)) -}}
  {{- else if has $name (list "DATA_DIR" "HTTP_ADDR" "ADMIN_ADDR" "EMBEDDED_NATS_ADDR") -}}
    {{- $wrong = append $wrong (printf
      "settings.%s: can't be set, as the chart's volumes, ports and probes need the default" $name) -}}
  {{- else if hasSuffix "_SECRETS" $name -}}
    {{- $wrong = append $wrong (printf
      "settings.%s: a secret doesn't belong in values; put it into the Secret (secretName)" $name) -}}
  {{- else if hasPrefix "ENDPOINTS_" $name -}}
    {{- $endpoint = true -}}
  {{- else if hasSuffix "_SECRETS_FILE" $name -}}
    {{- $wrong = append $wrong (printf "settings.%s: the chart sets this variable; use vendors" $name) -}}
  {{- end -}}
{{- end -}}
{{- if not $endpoint -}}
  {{- $wrong = append $wrong "vendors is empty and settings has no ENDPOINTS_0_…: the bridge would receive nothing" -}}
{{- end -}}

{{- with .Values.nats -}}
  {{- if contains "@" .url -}}
    {{- $wrong = append $wrong "nats.url has a user or password, which a ConfigMap would show; use nats.user and nats.secretName" -}}
  {{- end -}}
  {{- if and (or .user .files) (not .secretName) -}}
    {{- $wrong = append $wrong "nats.user and nats.files need nats.secretName: the Secret with the password and the files" -}}
  {{- end -}}
  {{- if and .secretName (not .user) (not .files) -}}
    {{- $wrong = append $wrong "nats.secretName without nats.user or nats.files: nothing of that Secret would be used" -}}
  {{- end -}}
  {{- if gt (len (compact (list .user .files.NATS_CREDS .files.NATS_NKEY))) 1 -}}
    {{- $wrong = append $wrong "nats.user, and NATS_CREDS and NATS_NKEY in nats.files: choose one way to log in" -}}
  {{- end -}}
{{- end -}}

{{- if .Values.spool.durable -}}
  {{- /* Kubernetes would refuse it too, but only after the ConfigMap has the new number. */ -}}
  {{- with lookup "apps/v1" "StatefulSet" .Release.Namespace .Release.Name -}}
    {{- $size := (first .spec.volumeClaimTemplates).spec.resources.requests.storage -}}
    {{- if and (hasSuffix "Gi" $size) (ne $size (printf "%dGi" (mul 3 $.Values.spool.gib))) -}}
      {{- $wrong = append $wrong (printf "spool.gib is %d, and the volumes have %s: it can't be changed later" (int $.Values.spool.gib) $size) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{- if and .Values.spool.durable .Values.hpa.enabled -}}
  {{- $wrong = append $wrong (print
    "hpa.enabled together with spool.durable: if an instance is scaled away, the events in its volume "
    "wait until it is back, so set replicas yourself") -}}
{{- end -}}
{{- with .Values.hpa -}}
  {{- if lt (int .max) (int .min) -}}
    {{- $wrong = append $wrong (printf "hpa.max is %d, less than hpa.min (%d)" (int .max) (int .min)) -}}
  {{- end -}}
{{- end -}}

{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
  {{- $wrong = append $wrong "ingress.host is not set: the name that vendors send to" -}}
{{- end -}}
{{- with .Values.httpRoute -}}
  {{- if and .enabled (not (and .host .parentRefs)) -}}
    {{- $wrong = append $wrong "httpRoute needs host, the name that vendors send to, and parentRefs, the Gateway" -}}
  {{- end -}}
{{- end -}}

{{- if $wrong -}}
  {{- fail (printf "\n  - %s" (join "\n  - " $wrong)) -}}
{{- end -}}
{{- end -}}

{{/* Everything is named after the release. */}}

{{- define "tag" -}}
{{- .Values.image.tag | default .Chart.AppVersion -}}
{{- end -}}

{{- define "image" -}}
{{- with .Values.image.digest -}}
{{ $.Values.image.repository }}@{{ . }}
{{- else -}}
{{ .Values.image.repository }}:{{ include "tag" . }}
{{- end -}}
{{- end -}}

{{- define "selector" -}}
app.kubernetes.io/name: webhook-bridge
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Without the chart's version, so that a newer chart alone replaces no pod. */}}
{{- define "podLabels" -}}
{{ include "selector" . }}
app.kubernetes.io/part-of: webhook-bridge
app.kubernetes.io/version: {{ include "tag" . | quote }}
{{- end -}}

{{- define "metadata" -}}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "podLabels" . | nindent 2 }}
  app.kubernetes.io/managed-by: {{ .Release.Service }}
  helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The bridge's environment, except secrets. */}}
{{- define "environment" -}}
DATA_DIR: /data
{{- range .Values.vendors }}
{{ upper . | replace "-" "_" }}_SECRETS_FILE: /etc/webhook-bridge/secrets/{{ . }}
{{- end }}
NATS_URL: {{ .Values.nats.url | quote }}
{{- with .Values.nats.user }}
NATS_USER: {{ . | quote }}
{{- end }}
{{- range $variable, $key := .Values.nats.files }}
{{ $variable }}: /etc/webhook-bridge/nats/{{ $key }}
{{- end }}
SPOOL_MAX_BYTES: {{ .Values.spool.gib }}GiB
SHUTDOWN_DELAY: {{ .Values.shutdown.delay }}s
SHUTDOWN_TIMEOUT: {{ .Values.shutdown.timeout }}s
SPOOL_DRAIN_TIMEOUT: {{ .Values.shutdown.drain }}s
{{- range $name, $value := .Values.settings }}
{{- if not (kindIs "invalid" $value) }}
{{ $name }}: {{ ternary (int64 $value) $value (kindIs "float64" $value) | toString | quote }}
{{- end }}
{{- end }}
{{- end -}}

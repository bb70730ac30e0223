{{- define "pod" -}}
serviceAccountName: {{ .Release.Name }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
automountServiceAccountToken: false
# Otherwise Kubernetes adds variables for each Service to the bridge's environment.
enableServiceLinks: false
terminationGracePeriodSeconds: {{ add .Values.shutdown.delay .Values.shutdown.timeout .Values.shutdown.drain 5 }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- if .Values.onePodPerNode }}
affinity:
  podAntiAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "selector" . | nindent 12 }}
{{- end }}
# Spread over zones and over nodes, as far as the cluster can. Each version is spread by itself:
# otherwise the old pods would count, and the new ones end unevenly.
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "selector" $ | nindent 8 }}
    {{- if not $.Values.spool.durable }}
    matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
containers:
  - name: bridge
    image: {{ include "image" . | quote }}
    ports:
      - name: http
        containerPort: 8080
      - name: admin
        containerPort: 9090
    envFrom:
      {{- with .Values.settingsSecretName }}
      # First, as the last one wins: it can't change what the chart sets.
      - secretRef:
          name: {{ . }}
      {{- end }}
      - configMapRef:
          name: {{ .Release.Name }}
    {{- if .Values.nats.user }}
    env:
      - name: NATS_PASSWORD
        valueFrom:
          secretKeyRef:
            name: {{ .Values.nats.secretName }}
            key: password
    {{- end }}
    # `kubectl describe pod` then shows the last log lines of a container that failed.
    terminationMessagePolicy: FallbackToLogsOnError
    # The bridge waits up to 30 s for an earlier process to leave DATA_DIR.
    startupProbe:
      httpGet:
        path: /livez
        port: admin
      periodSeconds: 1
      timeoutSeconds: 3
      failureThreshold: 120
    livenessProbe:
      httpGet:
        path: /livez
        port: admin
      periodSeconds: 10
      timeoutSeconds: 3
      failureThreshold: 3
    # 200 while an event can be made durable, also in the spool.
    readinessProbe:
      httpGet:
        path: /readyz
        port: admin
      periodSeconds: 5
      timeoutSeconds: 2
      failureThreshold: 2
    {{- /* 256Mi for logs, and the spool if that is an emptyDir. */}}
    {{- $disk := dict "ephemeral-storage" (ternary "256Mi" (printf "%dMi" (add 256 (mul 3072 .Values.spool.gib))) .Values.spool.durable) }}
    resources:
      {{- range list "requests" "limits" }}
      {{ . }}:
        {{- toYaml (merge (dict) (get $.Values.resources . | default dict) $disk) | nindent 8 }}
      {{- end }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
    volumeMounts:
      {{- if .Values.nats.files }}
      - name: nats
        mountPath: /etc/webhook-bridge/nats
        readOnly: true
      {{- end }}
      - name: data
        mountPath: /data
      - name: secrets
        mountPath: /etc/webhook-bridge/secrets
        readOnly: true
volumes:
  {{- if not .Values.spool.durable }}
  # If the spool exceeds sizeLimit, Kubernetes evicts the pod, and the spool is lost. So it is
  # 3 × SPOOL_MAX_BYTES.
  - name: data
    emptyDir:
      sizeLimit: {{ mul 3 .Values.spool.gib }}Gi
  {{- end }}
  {{- if .Values.nats.files }}
  - name: nats
    secret:
      secretName: {{ .Values.nats.secretName }}
      defaultMode: 0440
      items:
        {{- range values .Values.nats.files | uniq | sortAlpha }}
        - key: {{ . }}
          path: {{ . }}
        {{- end }}
  {{- end }}
  - name: secrets
    secret:
      secretName: {{ .Values.secretName }}
      # Only root and the process's group (fsGroup) can read it.
      defaultMode: 0440
{{- end -}}

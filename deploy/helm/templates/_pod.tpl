{{- define "pod" -}}
serviceAccountName: {{ .Release.Name }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
automountServiceAccountToken: false
# A Service's link variables would be in the bridge's environment.
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
# Apart, as far as the cluster can: zones first, then nodes. Each version for itself, so that a
# rollout doesn't end lopsided.
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
    # `kubectl describe pod` then shows why the last one ended.
    terminationMessagePolicy: FallbackToLogsOnError
    # A process that is being replaced may hold the directory for up to 30 s more.
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
    # 200 while an event can be made durable, be it in the spool.
    readinessProbe:
      httpGet:
        path: /readyz
        port: admin
      periodSeconds: 5
      timeoutSeconds: 2
      failureThreshold: 2
    {{- /* Beside the spool, where that is an emptyDir, 256Mi for logs. */}}
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
  # The spool. A pod that outgrows the limit is evicted and its spool lost: hence three times its
  # bytes.
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
      # Read by the group, which is the process' own (fsGroup), and by nobody else.
      defaultMode: 0440
{{- end -}}

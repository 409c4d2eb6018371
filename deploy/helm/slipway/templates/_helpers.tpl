{{- define "slipway.name" -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{- end -}}

{{- define "slipway.labels" -}}
app.kubernetes.io/name: slipway
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* Arguments: root, component. What selectors match; it may never change. */}}
{{- define "slipway.selector" -}}
app.kubernetes.io/name: slipway
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "slipway.registry" -}}{{ with .Values.image.registry }}{{ trimSuffix "/" . }}/{{ end }}{{- end -}}

{{- define "slipway.image" -}}
{{- $name := printf "%s%s" (include "slipway.registry" .) .Values.image.repository -}}
{{- if .Values.image.digest -}}{{ $name }}@{{ .Values.image.digest }}{{- else -}}{{ $name }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{- end -}}
{{- end -}}

{{- define "slipway.host" -}}{{ trimPrefix "https://" .Values.publicUrl | splitList ":" | first }}{{- end -}}

{{- define "slipway.secret" -}}{{ .Values.existingSecret | default (include "slipway.name" .) }}{{- end -}}

{{- define "slipway.postgresPassword" -}}
{{- required "postgresql.password is needed with postgresql.bundled" .Values.postgresql.password -}}
{{- end -}}

{{/* Arguments: root, component, account, command, resources, probes, replicas-free pod spec of one process. */}}
{{- define "slipway.pod" -}}
{{- $root := .root -}}
serviceAccountName: {{ .account }}
automountServiceAccountToken: {{ .token | default false }}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .grace | default 60 }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- if .spread }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "slipway.selector" . | nindent 8 }}
{{- end }}
containers:
  - name: {{ .component }}
    image: {{ include "slipway.image" $root }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    args: {{ toJson .args }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: {drop: [ALL]}
    envFrom:
      - configMapRef: {name: {{ include "slipway.name" $root }}-settings}
      {{- with $root.Values.envFrom }}{{ toYaml . | nindent 6 }}{{ end }}
    {{- with .env }}
    env: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .ports }}
    ports: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .probes }}{{ toYaml . | nindent 4 }}{{ end }}
    resources: {{- toYaml .resources | nindent 6 }}
    volumeMounts:
      - {name: secrets, mountPath: /run/secrets/slipway, readOnly: true}
      - {name: kubernetes, mountPath: /etc/slipway, readOnly: true}
      - {name: home, mountPath: /var/lib/slipway}
      - {name: tmp, mountPath: /tmp}
      {{- if $root.Values.artifacts.persistence.enabled }}
      - {name: artifacts, mountPath: /var/lib/slipway/artifacts}
      {{- end }}
volumes:
  - name: secrets
    secret: {secretName: {{ include "slipway.secret" $root }}, defaultMode: 0440}
  - name: kubernetes
    configMap: {name: {{ include "slipway.name" $root }}-kubernetes}
  - {name: home, emptyDir: {}}
  - {name: tmp, emptyDir: {}}
  {{- if $root.Values.artifacts.persistence.enabled }}
  - name: artifacts
    persistentVolumeClaim: {claimName: {{ include "slipway.name" $root }}-artifacts}
  {{- end }}
{{- end -}}

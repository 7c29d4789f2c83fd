{{/* Names, labels and what all pods of the center have in common. */}}

{{- define "haidang.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* For what has no namespace: two centers of one cluster may have releases of the same name. */}}
{{- define "haidang.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "haidang.name" .) | trunc 60 | trimSuffix "-" -}}
{{- end }}

{{- define "haidang.priorityClass" -}}
{{- .Values.priorityClass.name | default (include "haidang.clusterName" .) -}}
{{- end }}

{{- define "haidang.selector" -}}
app.kubernetes.io/name: haidang
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "haidang.labels" -}}
{{ include "haidang.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "haidang.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "haidang.account" -}}
{{ include "haidang.name" . }}-controller
{{- end }}

{{/* The account that acts on tenants' namespaces, as the API server calls it. */}}
{{- define "haidang.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "haidang.account" . }}
{{- end }}

{{- define "haidang.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "haidang.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "haidang.environment" -}}
- {name: HAIDANG_CENTER, value: {{ .Values.center | quote }}}
- {name: HAIDANG_SITE, value: /etc/haidang/site.toml}
- {name: HAIDANG_HOST, value: 0.0.0.0}
- {name: HAIDANG_PORT, value: "8787"}
- {name: HAIDANG_METRICS_PORT, value: "8788"}
{{- if .Values.whole.enabled }}
- {name: HAIDANG_DATA, value: /data/center}
{{- else }}
- {name: HAIDANG_LEASE, value: {{ printf "%s/%s" .Release.Namespace (include "haidang.account" .) | quote }}}
- {name: HAIDANG_SEALING_KEY_FILE, value: /etc/haidang-key/key}
- name: HAIDANG_DATABASE
  valueFrom:
    secretKeyRef: {name: {{ .Values.database.existingSecret | quote }}, key: {{ .Values.database.key | quote }}}
{{- end }}
{{- end }}

{{- define "haidang.mounts" -}}
- {name: site, mountPath: /etc/haidang, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- if .Values.kubelets.authorityConfigMap }}
- {name: kubelets, mountPath: /etc/haidang-kubelets, readOnly: true}
{{- end }}
{{- if .Values.whole.enabled }}
- {name: data, mountPath: /data}
{{- else }}
- {name: key, mountPath: /etc/haidang-key, readOnly: true}
{{- end }}
{{- end }}

{{- define "haidang.volumes" -}}
- name: site
  configMap: {name: {{ include "haidang.name" . }}-site}
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
{{- with .Values.kubelets.authorityConfigMap }}
- name: kubelets
  configMap: {name: {{ . | quote }}, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- if .Values.whole.enabled }}
- name: data
  persistentVolumeClaim: {claimName: {{ .Values.whole.volume.existingClaim | default (printf "%s-data" (include "haidang.name" .)) }}}
{{- else }}
- name: key
  secret:
    secretName: {{ .Values.sealingKey.existingSecret | quote }}
    defaultMode: 0440
    items: [{key: {{ .Values.sealingKey.key | quote }}, path: key}]
{{- end }}
{{- end }}

{{/* One part of the center: its root, name, replicas, resources, ports, and where it is asked whether it is well and alive. */}}
{{- define "haidang.part" -}}
{{- $ := .root -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "haidang.name" $ }}-{{ .part }}
  labels:
    {{- include "haidang.labels" $ | nindent 4 }}
    app.kubernetes.io/component: {{ .part }}
spec:
  replicas: {{ .replicas }}
  {{- if eq .part "whole" }}
  # A volume that one pod writes: the next one starts when this one is gone.
  strategy: {type: Recreate}
  {{- else }}
  strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  {{- end }}
  selector:
    matchLabels:
      {{- include "haidang.selector" $ | nindent 6 }}
      app.kubernetes.io/component: {{ .part }}
  template:
    metadata:
      labels:
        {{- include "haidang.labels" $ | nindent 8 }}
        app.kubernetes.io/component: {{ .part }}
        {{- if ne .part "api" }}
        haidang/metrics: "true"
        {{- end }}
      annotations:
        checksum/site: {{ include "haidang.site" $ | sha256sum }}
    spec:
      {{- if .acts }}
      serviceAccountName: {{ include "haidang.account" $ }}
      {{- else }}
      serviceAccountName: {{ include "haidang.name" $ }}
      {{- end }}
      automountServiceAccountToken: {{ .acts }}
      enableServiceLinks: false
      terminationGracePeriodSeconds: 45
      {{- with $.Values.imagePullSecrets }}
      imagePullSecrets: {{ toJson . }}
      {{- end }}
      securityContext:
        {{- include "haidang.podSecurity" $ | nindent 8 }}
      {{- if gt (int .replicas) 1 }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "haidang.selector" $ | nindent 14 }}
              app.kubernetes.io/component: {{ .part }}
      {{- end }}
      {{- if ne .part "whole" }}
      initContainers:
        # All of them may run at once: the database lets one migrate, and the others find it done.
        - name: migrate
          image: {{ include "haidang.image" $ | quote }}
          imagePullPolicy: {{ $.Values.image.pullPolicy }}
          args: [migrate, --found]
          env:
            {{- include "haidang.environment" $ | nindent 12 }}
          resources: {{ toJson .resources }}
          securityContext:
            {{- include "haidang.containerSecurity" $ | nindent 12 }}
          volumeMounts:
            {{- include "haidang.mounts" $ | nindent 12 }}
      {{- end }}
      containers:
        - name: haidang
          image: {{ include "haidang.image" $ | quote }}
          imagePullPolicy: {{ $.Values.image.pullPolicy }}
          args: [serve, --part, {{ eq .part "whole" | ternary "all" .part }}]
          env:
            {{- include "haidang.environment" $ | nindent 12 }}
          ports: {{ toJson .ports }}
          # Who is late because something is away is not helped by being begun anew: only who is stuck is.
          startupProbe: {httpGet: {{ toJson .alive }}, periodSeconds: 2, failureThreshold: 60}
          readinessProbe: {httpGet: {{ toJson .probe }}, periodSeconds: 5, timeoutSeconds: 5}
          livenessProbe: {httpGet: {{ toJson .alive }}, periodSeconds: 20, timeoutSeconds: 10, failureThreshold: 6}
          resources: {{ toJson .resources }}
          securityContext:
            {{- include "haidang.containerSecurity" $ | nindent 12 }}
          volumeMounts:
            {{- include "haidang.mounts" $ | nindent 12 }}
      volumes:
        {{- include "haidang.volumes" $ | nindent 8 }}
{{- end }}

{{/* The file about this cluster that the center reads. */}}
{{- define "haidang.site" -}}
namespace = {{ .Release.Namespace | quote }}
priority_class = {{ include "haidang.priorityClass" . | quote }}
pull = {{ .Values.tenantImagePullPolicy | quote }}
{{- if .Values.kubelets.authorityConfigMap }}
kubelet_authority = "/etc/haidang-kubelets/ca.crt"
{{- end }}
{{- range $name, $environment := .Values.environments }}

[environments.{{ $name }}]
image = {{ $environment.image | quote }}
version = {{ $environment.version | quote }}
python = {{ $environment.python | quote }}
distributed = {{ $environment.distributed | quote }}
{{- end }}
{{- range $model, $device := .Values.devices }}

[devices.{{ $model }}]
resource = {{ $device.resource | quote }}
{{- with $device.labels }}

[devices.{{ $model }}.labels]
{{- range $name, $value := . }}
{{ $name | quote }} = {{ $value | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The name of a role's objects. Called with (list $ "api"). */}}
{{- define "promptmill.name" -}}
{{- $root := index . 0 -}}
{{- printf "%s-%s" ($root.Release.Name | trunc 40 | trimSuffix "-") (index . 1) -}}
{{- end -}}

{{/* What a role's pods are found by; it never changes. */}}
{{- define "promptmill.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: promptmill
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "promptmill.labels" -}}
{{ include "promptmill.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
{{- end -}}

{{/* As docker-compose.yml: no root, no capability, nothing to write to but what is mounted. */}}
{{- define "promptmill.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/*
The Deployment of a role and its PodDisruptionBudget. Called with a dict: root, role, port, secrets (names, some perhaps
empty), store (whether it needs the files), env (variables of the role alone).
*/}}
{{- define "promptmill.role" -}}
{{- $root := .root -}}
{{- $role := .role -}}
{{- $values := index $root.Values $role -}}
{{- $name := include "promptmill.name" (list $root $role) -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  labels: {{- include "promptmill.labels" (list $root $role) | nindent 4 }}
spec:
  {{- if not (and (eq $role "worker") $root.Values.keda.enabled) }}
  replicas: {{ $values.replicas }}
  {{- end }}
  selector:
    matchLabels: {{- include "promptmill.selector" (list $root $role) | nindent 6 }}
  template:
    metadata:
      labels: {{- include "promptmill.labels" (list $root $role) | nindent 8 }}
    spec:
      automountServiceAccountToken: false
      {{- if and .store $root.Values.serviceAccountName }}
      serviceAccountName: {{ $root.Values.serviceAccountName }}
      {{- end }}
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      # A role has 25 s to end its work, and then puts the rest back. An api first waits for 5 s.
      terminationGracePeriodSeconds: 45
      securityContext:
        runAsNonRoot: true
        runAsUser: 1000
        runAsGroup: 1000
        fsGroup: 1000
        fsGroupChangePolicy: OnRootMismatch
        seccompProfile: { type: RuntimeDefault }
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{- include "promptmill.selector" (list $root $role) | nindent 14 }}
      containers:
        - name: {{ $role }}
          image: "{{ $root.Values.image.repository }}-{{ $role }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}"
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          ports:
            - { name: http, containerPort: {{ .port }} }
          env:
            - { name: PORT, value: {{ .port | quote }} }
            - { name: PROMPTMILL_CONFIG, value: /config/promptmill.yaml }
            {{- if and .store $root.Values.store.s3 }}
            - { name: PROMPTMILL_STORE, value: {{ $root.Values.store.s3 | quote }} }
            - { name: S3_ENDPOINT, value: {{ $root.Values.store.endpoint | quote }} }
            - { name: S3_REGION, value: {{ $root.Values.store.region | quote }} }
            {{- end }}
            {{- range $variable, $value := merge (dict) $values.env .env }}
            - { name: {{ $variable }}, value: {{ $value | toString | quote }} }
            {{- end }}
          envFrom:
            {{- range compact .secrets }}
            - secretRef: { name: {{ . }} }
            {{- end }}
          securityContext: {{- include "promptmill.containerSecurity" . | nindent 12 }}
          resources: {{- toYaml $values.resources | nindent 12 }}
          startupProbe:
            httpGet: { path: /livez, port: http }
            periodSeconds: 2
            failureThreshold: 60
          livenessProbe:
            httpGet: { path: /livez, port: http }
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: { path: /readyz, port: http }
            timeoutSeconds: 3
            periodSeconds: 5
          {{- if eq $role "api" }}
          # Callers must have heard that this pod goes before it takes no more connections.
          lifecycle:
            preStop:
              sleep: { seconds: 5 }
          {{- end }}
          volumeMounts:
            - { name: config, mountPath: /config, readOnly: true }
            - { name: tmp, mountPath: /tmp }
            {{- if and .store (not $root.Values.store.s3) }}
            - { name: data, mountPath: /data }
            {{- end }}
      volumes:
        - name: config
          configMap: { name: {{ include "promptmill.name" (list $root "config") }} }
        - name: tmp
          emptyDir: {}
        {{- if and .store (not $root.Values.store.s3) }}
        - name: data
          persistentVolumeClaim:
            claimName: {{ required "store.s3 (s3://bucket/prefix) or store.claim (a ReadWriteMany claim) says where files are" $root.Values.store.claim }}
        {{- end }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $name }}
  labels: {{- include "promptmill.labels" (list $root $role) | nindent 4 }}
spec:
  maxUnavailable: {{ if eq $role "worker" }}25%{{ else }}1{{ end }}
  selector:
    matchLabels: {{- include "promptmill.selector" (list $root $role) | nindent 6 }}
{{- end -}}

{{- define "promptmill.callsWanted" -}}
{{- $of := printf "promptmill_lane_requests{namespace=%q,pod=~%q,state=%%s}" .Release.Namespace (printf "%s-.*" (include "promptmill.name" (list . "api"))) -}}
{{- $wanted := printf "sum by (lane) (max by (lane, state) (%s))" ($of | replace "state=%s" "state=~\"waiting|in_flight\"") -}}
{{- $allowed := printf "max by (lane) (%s)" ($of | replace "state=%s" "state=\"allowed\"") -}}
max((({{ $allowed }}) < ({{ $wanted }})) or ({{ $wanted }}))
{{- end -}}

{{- define "domain-router.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "domain-router.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "domain-router.labels" -}}
{{ include "domain-router.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "domain-router.keys" -}}
{{- if .Values.keys.existingSecret -}}
{{- .Values.keys.existingSecret -}}
{{- else if .Values.keys.content -}}
{{- printf "%s-keys" (include "domain-router.name" .) -}}
{{- else -}}
{{- fail "keys: name the secret that has keys.json with keys.existingSecret, or give --set-file keys.content=keys.json" -}}
{{- end -}}
{{- end -}}

{{- define "domain-router.account" -}}
{{- if .Values.serviceAccount.create -}}{{ include "domain-router.name" . }}{{- else -}}default{{- end -}}
{{- end -}}

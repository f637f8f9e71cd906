{{/* The name in the label app.kubernetes.io/name. */}}
{{- define "triveni.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{/* The beginning of every object's name; what is added to it has at most 13 characters. */}}
{{- define "triveni.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "triveni.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "triveni.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* The operator's Deployment, its roles, its Lease. */}}
{{- define "triveni.operator" -}}
{{- include "triveni.fullname" . }}-operator
{{- end }}

{{- define "triveni.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "triveni.operator" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{/* By what the operator's pods are found; never changes in the life of a release. */}}
{{- define "triveni.selector" -}}
app.kubernetes.io/name: {{ include "triveni.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{/* The metadata of an object: (dict "root" $ "name" NAME "namespace" NAMESPACE "component" COMPONENT
     "labels" MORE "annotations" MORE); all but root and name may be left out. An object without a namespace is the
     cluster's. */}}
{{- define "triveni.metadata" -}}
{{- $root := .root -}}
name: {{ toYaml .name }}
{{- with .namespace }}
namespace: {{ toYaml . }}
{{- end }}
labels:
  {{- $labels := dict
      "app.kubernetes.io/name" (include "triveni.name" $root)
      "app.kubernetes.io/instance" $root.Release.Name
      "app.kubernetes.io/component" (default "operator" .component)
      "app.kubernetes.io/version" $root.Chart.AppVersion
      "app.kubernetes.io/managed-by" $root.Release.Service
      "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_") }}
  {{- merge (dict) $labels (default dict .labels) $root.Values.commonLabels | toYaml | nindent 2 }}
{{- with merge (dict) (default dict .annotations) $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* An image: (dict "image" .Values.image "root" $). */}}
{{- define "triveni.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ default .root.Chart.AppVersion .image.tag }}
{{- end -}}
{{- end }}

{{/* The namespaces that are watched, as a JSON list: empty for all. */}}
{{- define "triveni.watched" -}}
{{- .Values.watchNamespaces | uniq | sortAlpha | toJson -}}
{{- end }}

{{/* What every container of the chart may do: nothing but run. The level `restricted` asks for no less. */}}
{{- define "triveni.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities:
  drop:
    - ALL
readOnlyRootFilesystem: true
{{- end }}

{{- define "triveni.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

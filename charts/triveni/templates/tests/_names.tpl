{{/* The objects of `helm test`. The name of the SecureModel leaves room for what is added to it. */}}
{{- define "triveni.test.name" -}}
{{- printf "%s-test" (include "triveni.fullname" . | trunc 45 | trimSuffix "-") -}}
{{- end }}

{{/* Where it is made: in the namespace of the release, if that is watched. */}}
{{- define "triveni.test.namespace" -}}
{{- $watched := include "triveni.watched" . | fromJsonArray -}}
{{- if or (not $watched) (has .Release.Namespace $watched) -}}
{{- .Release.Namespace -}}
{{- else -}}
{{- first $watched -}}
{{- end -}}
{{- end }}

{{/* (dict "root" $ "weight" ORDER "delete" POLICY) */}}
{{- define "triveni.test.metadata" -}}
{{- $annotations := dict
    "helm.sh/hook" "test"
    "helm.sh/hook-weight" (toString .weight)
    "helm.sh/hook-delete-policy" .delete }}
{{- include "triveni.metadata" (dict
    "root" .root
    "name" (include "triveni.test.name" .root)
    "namespace" (include "triveni.test.namespace" .root)
    "component" "test"
    "labels" (default dict .labels)
    "annotations" $annotations) }}
{{- end }}

{{/*
Every right of the operator, verb by verb, in this one place: what it does in the namespaces that it watches, on nodes,
and with its Lease. README.md has the same as a table, which a test holds to it. There is no '*', and nothing here is
granted because it may be of use some day.
*/}}

{{- define "triveni.permissions.watched" -}}
# SecureModels: followed, and deleted once they are finished and spec.ttlSecondsAfterFinished has passed.
- apiGroups: [triveni.dev]
  resources: [securemodels]
  verbs: [get, list, watch, delete]
# Their status is the operator's alone to write.
- apiGroups: [triveni.dev]
  resources: [securemodels/status]
  verbs: [update]
# Where OwnerReferencesPermissionEnforcement is on, owning objects in the name of a SecureModel asks for this.
- apiGroups: [triveni.dev]
  resources: [securemodels/finalizers]
  verbs: [update]
# Secrets: of the authority, of each worker, of the sharing job, of clients. Read is the authority's, by its name.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, delete]
# The three Services.
- apiGroups: [""]
  resources: [services]
  verbs: [list, watch, create, patch, delete]
# Workers; their labels are mended where somebody changes them.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, create, patch, delete]
# The sharing job.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, watch, create, delete]
# Who may reach workers, and whom they may reach.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [list, watch, create, patch, delete]
# Keeps a drained node from ending an epoch.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [list, watch, create, patch, delete]
# Told to whoever runs `kubectl describe`.
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{- define "triveni.permissions.nodes" -}}
# In which zone a node lies, for the condition PartiesIndependent. Nodes are the cluster's, so this is always granted
# in the whole cluster.
- apiGroups: [""]
  resources: [nodes]
  verbs: [get]
{{- end }}

{{- define "triveni.permissions.lease" -}}
# The Lease by which one replica is chosen. A name cannot be asked for where something is created.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "triveni.operator" . }}]
  verbs: [get, patch]
{{- end }}

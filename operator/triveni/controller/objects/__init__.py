"""Every Kubernetes object of one SecureModel, built from it by pure functions: the whole pod can be read in one place.

    names, owned                          what all of them have in common
    authority, credentials                Secrets
    network                               Services, NetworkPolicies
    pod, placement, workers, sharing      what runs, where, and how it is closed in
    source                                where the model file comes from
    revision                              of which change a new epoch is needed

Nothing here talks to a cluster, makes a key or looks at a clock; those are parameters. The same parameters give the
same object, so that applying it again changes nothing.
"""

from triveni.controller.objects.authority import DamagedAuthority, authority_of, authority_secret
from triveni.controller.objects.credentials import client_secret, sharing_secret, worker_secret
from triveni.controller.objects.network import network_policies, services
from triveni.controller.objects.owned import Object
from triveni.controller.objects.pod import Settings
from triveni.controller.objects.ports import ClusterIPs
from triveni.controller.objects.revision import parts_of_model
from triveni.controller.objects.sharing import sharing_job
from triveni.controller.objects.source import UnusableSource, is_owners
from triveni.controller.objects.workers import disruption_budget, worker_pod

__all__ = [
    "ClusterIPs",
    "DamagedAuthority",
    "Object",
    "Settings",
    "UnusableSource",
    "authority_of",
    "authority_secret",
    "client_secret",
    "disruption_budget",
    "is_owners",
    "network_policies",
    "parts_of_model",
    "services",
    "sharing_job",
    "sharing_secret",
    "worker_pod",
    "worker_secret",
]

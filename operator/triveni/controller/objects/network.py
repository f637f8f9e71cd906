"""How the pods of a SecureModel are reached, and what they may reach: three Services, two NetworkPolicies.

A worker talks to the other two, answers the sharing job and the clients that the SecureModel names, and nothing else:
no DNS, no API server. The kubelet's probes need no rule, they come from the pod's own node. Who a caller is, is decided
by certificates in any case; the policies see to it that strangers cannot even knock, and that no share can be sent out.
"""

from __future__ import annotations

from typing import Any

from triveni.api.securemodel import SecureModel
from triveni.controller.objects import names, ports
from triveni.controller.objects.names import Component
from triveni.controller.objects.owned import Object, owned
from triveni.controller.objects.pod import Settings
from triveni.controller.objects.source import Server, is_owners, supply
from triveni.identity.names import PARTIES

NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""The label that the API server gives to each namespace."""


def services(model: SecureModel, epoch: int) -> tuple[Object, Object, Object]:
    """One Service for each worker, in the order of parties; in the next epoch the same ones point to its pods.

    Not-ready pods are included: workers meet, and the model is shared, before anybody is ready.
    """
    first, second, third = (_service(model, epoch, party) for party in PARTIES)
    return first, second, third


def network_policies(model: SecureModel, settings: Settings) -> tuple[Object, ...]:
    """That of the workers and, if there is a sharing job, the job's; the same in all epochs.

    An owner who shares the model comes through the API server's port-forward, which no policy sees.
    """
    source = supply(model)
    workers = _workers(model, settings.operator_namespace)
    return (workers,) if source is None else (workers, _sharing(model, source.server))


def _service(model: SecureModel, epoch: int, party: int) -> Object:
    service = owned("v1", "Service", model, names.service(model, party), Component.NETWORK, party=party)
    return service | {
        "spec": {
            "type": "ClusterIP",
            "selector": names.selector(model, Component.WORKER, epoch, party),
            "publishNotReadyAddresses": True,
            "ports": [_service_port("infer", ports.CLIENTS), _service_port("peers", ports.PEERS)],
        }
    }


def _service_port(name: str, port: int) -> Object:
    return {"name": name, "protocol": "TCP", "port": port, "targetPort": port}


def _workers(model: SecureModel, operator_namespace: str | None) -> Object:
    workers = _pods(model, Component.WORKER)
    sharing = [] if is_owners(model) else [_pods(model, Component.SHARING)]
    callers = [*sharing, *_clients(model)]
    counts = [_counts(operator_namespace)] if operator_namespace else []
    return _policy(
        model,
        names.workers_policy(model),
        Component.WORKER,
        ingress=[
            {"from": callers, "ports": [_tcp(ports.CLIENTS)]},
            {"from": [workers], "ports": [_tcp(ports.PEERS)]},
            *counts,
        ],
        egress=[{"to": [workers], "ports": [_tcp(ports.PEERS)]}],
    )


def _sharing(model: SecureModel, server: Server | None) -> Object:
    egress = [{"to": [_pods(model, Component.WORKER)], "ports": [_tcp(ports.CLIENTS)]}]
    if server is not None:
        egress += _to_server(server)
    return _policy(model, names.sharing_policy(model), Component.SHARING, ingress=[], egress=egress)


def _policy(
    model: SecureModel, name: str, component: Component, *, ingress: list[Object], egress: list[Object]
) -> Object:
    policy = owned("networking.k8s.io/v1", "NetworkPolicy", model, name, Component.NETWORK)
    return policy | {
        "spec": {
            "podSelector": {"matchLabels": names.selector(model, component)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress,
            "egress": egress,
        }
    }


def _counts(operator_namespace: str) -> Object:
    """The operator asks how many requests were answered, where nothing else is to be had."""
    operator = {
        "namespaceSelector": {"matchLabels": {NAMESPACE_NAME: operator_namespace}},
        "podSelector": {"matchLabels": {names.COMPONENT: "operator"}},
    }
    return {"from": [operator], "ports": [_tcp(ports.HEALTH)]}


def _clients(model: SecureModel) -> list[Object]:
    """Who may ask for predictions: the peers that the SecureModel names, else pods of its namespace with its label."""
    if model.spec.clients:
        return [client.model_dump(mode="json", exclude_defaults=True) for client in model.spec.clients]
    return [{"podSelector": {"matchLabels": {names.CLIENT: model.metadata.name}}}]


def _to_server(server: Server) -> list[Object]:
    """The way to the server of the model file: its name, and its port anywhere.

    For a Service the port is its pods', which a policy sees and the URL does not say: they are let in by namespace.
    """
    dns = {
        "to": [{"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: "kube-system"}}}],
        "ports": [{"protocol": "UDP", "port": 53}, _tcp(53)],
    }
    rules = [dns, {"ports": [_tcp(server.port)]}]
    namespace = _service_namespace(server.host)
    if namespace:
        pods = {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: namespace}}}
        rules.append({"to": [pods], "ports": [{"protocol": "TCP"}]})
    return rules


def _service_namespace(host: str) -> str | None:
    """The namespace in `NAME.NAMESPACE.svc`, with or without the cluster's domain after it."""
    match host.removesuffix(".").split("."):
        case [_, namespace, "svc", *_]:
            return namespace
        case _:
            return None


def _pods(model: SecureModel, component: Component) -> Object:
    return {"podSelector": {"matchLabels": names.selector(model, component)}}


def _tcp(port: int) -> dict[str, Any]:
    return {"protocol": "TCP", "port": port}

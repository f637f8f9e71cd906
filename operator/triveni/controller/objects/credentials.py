"""The Secrets that pods and clients live on: certificate, key, authority, and how to reach the others.

Those of an epoch are immutable: a worker's grant and its certificate must not change under it.
"""

from __future__ import annotations

import json
from typing import Any

from triveni.api.securemodel import SecureModel
from triveni.controller.objects import deadlines, names, places, ports
from triveni.controller.objects.names import Component
from triveni.controller.objects.owned import Object, base64_data, owned
from triveni.controller.objects.ports import ClusterIPs
from triveni.controller.objects.source import is_owners
from triveni.identity.credentials import AUTHORITY, CERTIFICATE, KEY, Credentials
from triveni.identity.names import PARTIES

CONNECTION_FILE = "connection.json"


def client_secret(model: SecureModel, credentials: Credentials, cluster_ips: ClusterIPs) -> Object:
    """What a client in the cluster needs; whoever may read it may ask for predictions.

    `connection.json` is what `triveni.client.Connection.read` takes. Clients live through epochs, so this Secret does.
    """
    document = {
        "name": model.metadata.name,
        "namespace": model.metadata.namespace,
        "uid": names.uid(model),
        "workers": [f"https://{ports.host_port(ip, ports.CLIENTS)}" for ip in cluster_ips],
        "credentials": {
            "certificate": credentials.certificate.decode(),
            "key": credentials.key.decode(),
            "ca": credentials.ca.decode(),
        },
    }
    secret = owned("v1", "Secret", model, names.client_secret(model), Component.CLIENT)
    return secret | _tls(credentials, {CONNECTION_FILE: _json(document)})


def worker_secret(
    model: SecureModel, epoch: int, grant: int | None, party: int, credentials: Credentials, cluster_ips: ClusterIPs
) -> Object:
    """A worker's credentials and configuration; `grant` is in rows, None for no limit."""
    secret = owned("v1", "Secret", model, names.worker(model, epoch, party), Component.WORKER, epoch, party)
    config = worker_config(model, epoch, grant, party, cluster_ips)
    return secret | {"immutable": True} | _tls(credentials, {places.CONFIG_FILE: _json(config)})


def sharing_secret(model: SecureModel, epoch: int, credentials: Credentials) -> Object:
    """The credentials of whoever shares the model in this epoch: the sharing job, or the model's owner."""
    name = names.owner_secret(model) if is_owners(model) else names.sharing(model, epoch)
    secret = owned("v1", "Secret", model, name, Component.SHARING, epoch)
    return secret | {"immutable": True} | _tls(credentials, {})


def worker_config(
    model: SecureModel, epoch: int, grant: int | None, party: int, cluster_ips: ClusterIPs
) -> dict[str, Any]:
    """The configuration of a worker, as `triveni.worker.config` reads it."""
    here = ports.any_address(cluster_ips[party])
    bits = model.spec.answer.fractional_bits
    return {
        "namespace": model.metadata.namespace,
        "uid": names.uid(model),
        "name": model.metadata.name,
        "epoch": epoch,
        "party": party,
        "protocol": model.spec.protocol,
        "grant": grant,
        "listen": {"host": here, "port": ports.CLIENTS},
        "peer_listen": {"host": here, "port": ports.PEERS},
        "health_listen": {"host": here, "port": ports.HEALTH},
        "peers": {str(peer): {"host": cluster_ips[peer], "port": ports.PEERS} for peer in PARTIES if peer != party},
        "credentials": places.CREDENTIALS,
        "report": places.REPORT,
        "cache": None,  # a program is compiled once in an epoch, and nothing of a worker outlives it
        "max_rows": model.spec.batching.max_rows,
        "connect_timeout_s": deadlines.START,
        "share_timeout_s": deadlines.OWNER if is_owners(model) else deadlines.START,
        **({} if bits is None else {"answer_fractional_bits": bits}),
    }


def _tls(credentials: Credentials, more: dict[str, bytes]) -> Object:
    data = {CERTIFICATE: credentials.certificate, KEY: credentials.key, AUTHORITY: credentials.ca, **more}
    return {"type": "kubernetes.io/tls", "data": base64_data(data)}


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=1).encode()

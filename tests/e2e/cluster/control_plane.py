"""The control plane: what its machine runs."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.cluster import inside, network
from tests.e2e.cluster.binaries import KUBERNETES
from tests.e2e.cluster.inside import CLUSTER, PKI
from tests.e2e.cluster.machine import Step
from tests.e2e.cluster.network import Node

_ETCD = "https://127.0.0.1:2379"
_ETCD_PEERS = "http://127.0.0.1:2380"  # a single member: nobody calls it


def steps(directory: Path, nodes: list[Node]) -> list[Step]:
    """Everything that the control plane's first process does."""
    return [
        *inside.mounts(directory),
        *network.of_control_plane(nodes),
        ["start", "etcd", *_etcd()],
        ["start", "kube-apiserver", *_api_server()],
        ["await-port", network.CONTROL_PLANE, str(network.API_PORT)],
        ["start", "kube-controller-manager", *_controller_manager()],
        ["start", "kube-scheduler", *_scheduler()],
    ]


def _etcd() -> list[str]:
    return [
        "etcd",
        f"--data-dir={CLUSTER}/etcd",
        "--unsafe-no-fsync",  # nothing here outlives a power cut anyhow
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        f"--listen-peer-urls={_ETCD_PEERS}",
        f"--initial-advertise-peer-urls={_ETCD_PEERS}",
        f"--initial-cluster=default={_ETCD_PEERS}",
        f"--cert-file={PKI}/etcd.crt",
        f"--key-file={PKI}/etcd.key",
        "--client-cert-auth",
        f"--trusted-ca-file={PKI}/etcd-ca.crt",
    ]


def _api_server() -> list[str]:
    return [
        inside.program(KUBERNETES, "kube-apiserver"),
        f"--bind-address={network.CONTROL_PLANE}",
        f"--secure-port={network.API_PORT}",
        f"--advertise-address={network.CONTROL_PLANE}",
        f"--etcd-servers={_ETCD}",
        f"--etcd-cafile={PKI}/etcd-ca.crt",
        f"--etcd-certfile={PKI}/etcd.crt",
        f"--etcd-keyfile={PKI}/etcd.key",
        f"--client-ca-file={PKI}/ca.crt",
        f"--tls-cert-file={PKI}/apiserver.crt",
        f"--tls-private-key-file={PKI}/apiserver.key",
        f"--service-account-key-file={PKI}/service-accounts.key",
        f"--service-account-signing-key-file={PKI}/service-accounts.key",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-cluster-ip-range={network.SERVICES}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--kubelet-certificate-authority={PKI}/ca.crt",
        f"--kubelet-client-certificate={PKI}/apiserver-kubelet.crt",
        f"--kubelet-client-key={PKI}/apiserver-kubelet.key",
        "--kubelet-preferred-address-types=InternalIP",
        # No kube-proxy here: what calls pods goes to their own addresses.
        "--enable-aggregator-routing=true",
        "--allow-privileged=true",
    ]


def _controller_manager() -> list[str]:
    return [
        inside.program(KUBERNETES, "kube-controller-manager"),
        f"--kubeconfig={PKI}/kube-controller-manager.kubeconfig",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={PKI}/service-accounts.key",
        f"--root-ca-file={PKI}/ca.crt",
        f"--cluster-signing-cert-file={PKI}/ca.crt",
        f"--cluster-signing-key-file={PKI}/ca.key",
        "--leader-elect=false",
        "--secure-port=0",
        "--node-monitor-grace-period=20s",  # 50 s by default: a lost node is noticed sooner
    ]


def _scheduler() -> list[str]:
    return [
        inside.program(KUBERNETES, "kube-scheduler"),
        f"--kubeconfig={PKI}/kube-scheduler.kubeconfig",
        "--leader-elect=false",
        "--secure-port=0",
    ]

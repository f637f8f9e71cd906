"""A node: what its machine runs, and the configuration of that."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.cluster import binaries, inside, network
from tests.e2e.cluster.binaries import KUBE_ROUTER, KUBERNETES
from tests.e2e.cluster.commands import ClusterError
from tests.e2e.cluster.inside import CLUSTER, PKI
from tests.e2e.cluster.machine import Step
from tests.e2e.cluster.network import Node

CONTAINERD = "/var/lib/containerd"
SOCKET = "/run/containerd/containerd.sock"
_CNI = "cni"


def steps(directory: Path, node: Node, nodes: list[Node]) -> list[Step]:
    """Everything that a node's first process does."""
    own = f"{CLUSTER}/{node.name}"
    return [
        *inside.mounts(directory),
        # Its own /run and /var; the rest of the file system is the host's, so a hostPath is the same on every node.
        ["run", "mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"],
        ["run", "mount", "--bind", f"{own}/var", "/var"],
        ["run", "hostname", node.name],
        *network.of_node(node, nodes),
        ["start", "containerd", "containerd", "--config", f"{own}/containerd.toml"],
        ["await-path", SOCKET],
        ["start", "kubelet", *_kubelet(node, own)],
        ["start", "kube-proxy", inside.program(KUBERNETES, "kube-proxy"), f"--config={own}/kube-proxy.json"],
        # Ends, and is started again, until the kubelet has told the API server this node's address.
        ["start", "kube-router", *_kube_router(node)],
    ]


def _kubelet(node: Node, own: str) -> list[str]:
    return [
        inside.program(KUBERNETES, "kubelet"),
        f"--config={own}/kubelet.json",
        f"--kubeconfig={PKI}/{node.name}.kubeconfig",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
    ]


def _kube_router(node: Node) -> list[str]:
    return [
        inside.program(KUBE_ROUTER, "kube-router"),
        f"--kubeconfig={PKI}/kube-router.kubeconfig",
        f"--hostname-override={node.name}",
        "--run-firewall=true",  # network policies, and nothing else
        "--run-router=false",
        "--run-service-proxy=false",
        "--enable-cni=false",
        "--enable-overlay=false",
        f"--service-cluster-ip-range={network.SERVICES}",
    ]


def write_files(at: Path, node: Node, group: str) -> None:
    """Write a node's configuration into its directory; its cgroup is `group`/NAME."""
    for directory in ("lib/kubelet", "lib/cni", "log/pods", "log/containers", "tmp", _CNI):
        (at / "var" / directory).mkdir(parents=True)
    (at / "var" / "tmp").chmod(0o1777)
    (at / "var" / "run").symlink_to("/run")
    (at / "containerd.toml").write_text(_containerd())
    (at / "var" / _CNI / "10-pods.conflist").write_text(_json(_pod_network(node)))
    # No server: names outside the cluster are nobody's business.
    (at / "resolv.conf").write_text("options timeout:2\n")
    (at / "kubelet.json").write_text(_json(_kubelet_configuration(node, f"/{group}/{node.name}")))
    (at / "kube-proxy.json").write_text(_json(_kube_proxy_configuration(node)))


def _containerd() -> str:
    return f"""\
version = 2
root = "{CONTAINERD}"
state = "/run/containerd"
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{binaries.PAUSE_IMAGE}"
  # Else no pod starts where root may not lower its own OOM score.
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{_cni_plugins()}"
  conf_dir = "/var/{_CNI}"
"""


def _cni_plugins() -> Path:
    places = (Path("/opt/cni/bin"), Path("/usr/lib/cni"))
    for place in places:
        if (place / "bridge").exists():
            return place
    raise ClusterError(f"no CNI plugins in {' or '.join(map(str, places))}; install containernetworking-plugins")


def _pod_network(node: Node) -> dict[str, object]:
    bridge = {
        "type": "bridge",
        "bridge": "pods0",
        "isGateway": True,
        "hairpinMode": True,
        # A pod's own address must be seen on other nodes, or network policies judge somebody else.
        "ipMasq": False,
        "ipam": {
            "type": "host-local",
            "dataDir": "/run/cni-ipam",
            "ranges": [[{"subnet": node.pods}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, ports]}


def _kubelet_configuration(node: Node, group: str) -> dict[str, object]:
    never = dict.fromkeys(("memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available"), "0%")
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{PKI}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{PKI}/{node.name}.crt",
        "tlsPrivateKeyFile": f"{PKI}/{node.name}.key",
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": group,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "failCgroupV1": False,
        # The disk is the host's: how full it is, is not this cluster's doing.
        "evictionHard": never,
        "imageGCHighThresholdPercent": 100,
        "localStorageCapacityIsolation": False,
        "nodeLeaseDurationSeconds": 16,  # renewed after a quarter of it: a lost node is noticed sooner
        "clusterDNS": [network.DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{CLUSTER}/{node.name}/resolv.conf",
    }


def _kube_proxy_configuration(node: Node) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": f"{PKI}/kube-proxy.kubeconfig"},
        "mode": "iptables",
        "clusterCIDR": f"{network.PODS}.0.0/16",
        "hostnameOverride": node.name,
        "conntrack": {"maxPerCore": 0},  # that limit is the host's
    }


def _json(content: object) -> str:
    return json.dumps(content, indent=1)

"""Which API server, as whom, and which namespace: kubectl's rules."""

import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.client.three_workers import NAMESPACE, UID
from triveni.client.cluster.access import Access, Target
from triveni.client.cluster.errors import KubeconfigUnusable
from triveni.identity.authority import Authority
from triveni.identity.names import Identity


def write(path: Path, name: str = "one", **change: Any) -> Path:
    """A kubeconfig with one context, cluster and user, all of the same name."""
    document = {
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, **change.pop("context", {})}}],
        "clusters": [{"name": name, "cluster": {"server": f"http://{name}:6443/", **change.pop("cluster", {})}}],
        "users": [{"name": name, "user": change.pop("user", {"token": f"token-of-{name}"})}],
    } | change
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, and no KUBECONFIG."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return tmp_path


async def test_the_file_that_is_named(tmp_path: Path) -> None:
    access = await Access.of(Target("mnist", kubeconfig=write(tmp_path / "config")))
    assert (access.server, access.context, access.namespace) == ("http://one:6443", "one", "default")
    assert access.token == "Bearer token-of-one"
    assert "token" not in repr(access)


async def test_the_file_at_home(home: Path) -> None:
    (home / ".kube").mkdir()
    write(home / ".kube" / "config")
    assert (await Access.of(Target("mnist"))).server == "http://one:6443"


async def test_several_files_in_kubeconfig_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = write(tmp_path / "one"), write(tmp_path / "two", "two")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/none:{one}:{two}")
    assert (await Access.of(Target("mnist", context="two"))).token == "Bearer token-of-two"


async def test_the_contexts_namespace_is_used_unless_another_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "config", context={"namespace": "team-a"})
    assert (await Access.of(Target("mnist", kubeconfig=path))).namespace == "team-a"
    assert (await Access.of(Target("mnist", namespace="team-b", kubeconfig=path))).namespace == "team-b"


async def test_client_certificates_and_the_clusters_authority_are_used(tmp_path: Path) -> None:
    credentials = Authority.create(NAMESPACE, UID).issue(Identity.of_client(NAMESPACE, UID, "me"))
    credentials.write(tmp_path / "pki")
    path = write(
        tmp_path / "config",
        cluster={"server": "https://one:6443", "certificate-authority": "pki/ca.crt", "tls-server-name": "api"},
        user={"client-certificate": "pki/tls.crt", "client-key": "pki/tls.key"},
    )
    access = await Access.of(Target("mnist", kubeconfig=path))
    assert access.tls is not None
    assert len(access.tls.get_ca_certs()) == 1
    assert access.tls.verify_mode is ssl.CERT_REQUIRED
    assert not access.tls.verify_flags & ssl.VERIFY_X509_STRICT
    assert (access.server_name, access.token) == ("api", None)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "it is damaged, or no kubeconfig"),
        ("just text", "it is damaged, or no kubeconfig"),
        ("[1, 2]", "it is damaged, or no kubeconfig"),
        ("a: [", "it is not YAML"),
        ("contexts: []", "expected key current-context in"),
        ("{current-context: one, contexts: [], clusters: []}", "expected object with name one in"),
    ],
)
async def test_a_file_that_cannot_be_used(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(KubeconfigUnusable) as caught:
        await Access.of(Target("mnist", kubeconfig=path))
    assert str(caught.value).startswith(f"kubeconfig {path}: {problem}")


async def test_a_context_that_is_not_there(tmp_path: Path) -> None:
    path = write(tmp_path / "config")
    with pytest.raises(KubeconfigUnusable, match=r"expected object with name two in .*contexts"):
        await Access.of(Target("mnist", context="two", kubeconfig=path))


async def test_a_certificate_that_is_not_there(tmp_path: Path) -> None:
    path = write(tmp_path / "config", cluster={"server": "https://one", "certificate-authority": "none.crt"})
    with pytest.raises(KubeconfigUnusable, match=r"none\.crt"):
        await Access.of(Target("mnist", kubeconfig=path))


async def test_a_key_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("no key")
    user = {"client-certificate": "bad", "client-key": "bad"}
    path = write(tmp_path / "config", cluster={"server": "https://one"}, user=user)
    with pytest.raises(KubeconfigUnusable, match="its certificates or key cannot be used"):
        await Access.of(Target("mnist", kubeconfig=path))


@pytest.mark.parametrize("given", [True, False])
async def test_no_file_at_all(home: Path, given: bool) -> None:
    path = home / "none"
    with pytest.raises(KubeconfigUnusable) as caught:
        await Access.of(Target("mnist", kubeconfig=path if given else None))
    shown = path if given else "~/.kube/config"
    assert str(caught.value) == f"kubeconfig {shown}: there is no such file; give --kubeconfig, or set KUBECONFIG"

"""What can go wrong on the way to the workers through a cluster's API server."""

from __future__ import annotations

from dataclasses import dataclass

from triveni.client.errors import ClientError


@dataclass(eq=False)
class KubeconfigUnusable(ClientError):
    """There is no kubeconfig, or none that can be used."""

    path: str
    problem: str

    def __str__(self) -> str:
        return f"kubeconfig {self.path}: {self.problem}"


@dataclass(eq=False)
class ApiUnreachable(ClientError):
    """Nobody answers at the API server's address, or somebody else does."""

    server: str
    problem: str

    def __str__(self) -> str:
        return f"the API server {self.server} cannot be reached ({self.problem}); is it the right --context?"


@dataclass(eq=False)
class NotAuthenticated(ClientError):
    """The API server does not know who asks."""

    context: str

    def __str__(self) -> str:
        return f"the API server does not accept the credentials of the context {self.context}; log in again"


@dataclass(eq=False)
class NotAllowed(ClientError):
    """RBAC allows less than is needed; `needed` is a verb and a resource."""

    needed: str
    name: str
    namespace: str

    def __str__(self) -> str:
        return (
            f"you may not {self.needed} in namespace {self.namespace}; ask for a Role there with: "
            f"get secrets (of the name {self.name}-client), list pods, get and create pods/portforward"
        )


@dataclass(eq=False)
class ApiFailed(ClientError):
    """The API server answered with something that is of no use here; `call` says to what."""

    call: str
    status: int
    message: str

    def __str__(self) -> str:
        return f"the API server answered {self.status} to {self.call}: {self.message}"


@dataclass(eq=False)
class NoSuchModel(ClientError):
    """The namespace has no such SecureModel, as far as can be seen."""

    name: str
    namespace: str
    hint: str

    def __str__(self) -> str:
        return f"there is no SecureModel {self.name} in namespace {self.namespace}; {self.hint}"


@dataclass(eq=False)
class NoCredentials(ClientError):
    """There is no Secret for clients, and no telling why, for somebody who may not look at the SecureModel."""

    name: str
    namespace: str

    def __str__(self) -> str:
        return (
            f"there is no Secret {self.name}-client in namespace {self.namespace}: SecureModel {self.name} does not "
            "exist, is not provisioned yet, or has reached its request quota; who may get securemodels can see which"
        )


@dataclass(eq=False)
class NotProvisioned(ClientError):
    """The SecureModel is there, but has no credentials for clients (yet)."""

    name: str
    namespace: str
    why: str

    def __str__(self) -> str:
        return (
            f"SecureModel {self.name} is not provisioned yet ({self.why}); "
            f"see kubectl describe securemodel {self.name} -n {self.namespace}"
        )


@dataclass(eq=False)
class NotServing(ClientError):
    """The workers could not be reached in time, and what the cluster says about them."""

    name: str
    namespace: str
    problem: str
    why: str

    def __str__(self) -> str:
        look = f"kubectl describe securemodel {self.name} -n {self.namespace}"
        return f"{self.problem}; {self.why}; see {look}"

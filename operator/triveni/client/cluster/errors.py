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
    """RBAC allows less than is needed; `needed` is a verb and a resource, `rights` all that there should be.

    `namespace` is None of what is wanted of all namespaces.
    """

    needed: str
    namespace: str | None
    rights: str

    def __str__(self) -> str:
        if self.namespace is None:
            return f"you may not {self.needed} in all namespaces; name one with --namespace"
        return f"you may not {self.needed} in namespace {self.namespace}; ask for a Role there with: {self.rights}"


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


@dataclass(eq=False)
class NoOperator(ClientError):
    """Nobody has looked at the SecureModel."""

    name: str
    namespace: str
    seconds: float

    def __str__(self) -> str:
        return (
            f"no operator has looked at SecureModel {self.name} in namespace {self.namespace} in "
            f"{self.seconds:.0f} s; is Triveni installed in this cluster, and does its operator watch this namespace?"
        )


@dataclass(eq=False)
class NotInstalled(ClientError):
    """The cluster does not know what a SecureModel is."""

    server: str

    def __str__(self) -> str:
        return f"the cluster at {self.server} knows no SecureModels; install Triveni there, with its Helm chart"


@dataclass(eq=False)
class NotShareable(ClientError):
    """The workers take no shares from the owner, and waiting does not help."""

    name: str
    namespace: str
    why: str

    def __str__(self) -> str:
        return (
            f"SecureModel {self.name} cannot be shared ({self.why}); "
            f"see kubectl describe securemodel {self.name} -n {self.namespace}"
        )


@dataclass(eq=False)
class SharedAlready(ClientError):
    """The workers of the epoch hold their shares."""

    name: str
    epoch: int

    def __str__(self) -> str:
        return f"SecureModel {self.name} is shared already, in epoch {self.epoch}; end that epoch to share it anew"


@dataclass(eq=False)
class NotReadyInTime(ClientError):
    """The workers did not come to wait for their shares in time, and what the cluster says about it."""

    name: str
    namespace: str
    seconds: float
    why: str

    def __str__(self) -> str:
        return (
            f"the workers of SecureModel {self.name} were not ready for their shares within {self.seconds:g} s "
            f"({self.why}); see kubectl describe securemodel {self.name} -n {self.namespace}"
        )


@dataclass(eq=False)
class EpochOver(ClientError):
    """The epoch ended while the model was being shared."""

    name: str
    namespace: str
    epoch: int
    why: str

    def __str__(self) -> str:
        return (
            f"epoch {self.epoch} of SecureModel {self.name} ended before every worker had its share ({self.why}); "
            "share the model again"
        )

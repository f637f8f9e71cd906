"""Which API server, as whom, and which namespace: from a kubeconfig, by kubectl's rules."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from triveni.client.cluster.errors import KubeconfigUnusable


@dataclass(frozen=True, slots=True)
class Target:
    """A SecureModel and how to get there, as a user names it; what is None is as the kubeconfig says.

    Attributes:
        name: of the SecureModel.
        namespace, context: instead of those that the kubeconfig names as current.
        kubeconfig: a file, instead of those in KUBECONFIG or ~/.kube/config.
    """

    name: str
    namespace: str | None = None
    context: str | None = None
    kubeconfig: Path | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """An API server and the credentials for it. Its repr shows no token."""

    server: str
    context: str
    namespace: str
    tls: ssl.SSLContext | None = field(repr=False)
    token: str | None = field(repr=False)
    server_name: str | None = None
    proxy: str | None = field(default=None, repr=False)

    @classmethod
    async def of(cls, target: Target) -> Self:
        """Read the kubeconfig; runs the credential plugin that it may name.

        Raises:
            KubeconfigUnusable: missing, damaged, without that context, or with credentials that cannot be used.
        """
        paths = _paths(target.kubeconfig)
        try:
            # Here, since these imports take a second that nobody else should wait for.
            import yaml
            from kubernetes.aio.client import Configuration
            from kubernetes.aio.client.rest import RESTClientObject
            from kubernetes.aio.config import ConfigException, load_kube_config
        except ImportError as error:
            raise KubeconfigUnusable(paths, "to read it, install triveni[cli]") from error
        configuration = Configuration()
        # kubectl accepts authorities that lack an extension which Python 3.13 insists on.
        configuration.disable_strict_ssl_verification = True
        try:
            loader = await load_kube_config(paths, target.context, configuration, persist_config=False)
            current = loader.current_context
            return cls(
                server=configuration.host.rstrip("/"),
                context=str(current["name"]),
                namespace=target.namespace or current["context"].get("namespace") or "default",
                tls=RESTClientObject(configuration).ssl_context if configuration.host.startswith("https:") else None,
                token=await configuration.get_api_key_with_prefix("BearerToken"),
                server_name=configuration.tls_server_name,
                proxy=configuration.proxy,
            )
        except ConfigException as error:
            problem = str(error).removeprefix("Invalid kube-config file. ")
            raise KubeconfigUnusable(paths, problem[:1].lower() + problem[1:]) from error
        except yaml.YAMLError as error:
            raise KubeconfigUnusable(paths, "it is not YAML") from error
        except ssl.SSLError as error:
            raise KubeconfigUnusable(paths, f"its certificates or key cannot be used ({error.reason})") from error
        except OSError as error:
            raise KubeconfigUnusable(paths, error.strerror or type(error).__name__) from error
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise KubeconfigUnusable(paths, "it is damaged, or no kubeconfig") from error


def _paths(given: Path | None) -> str:
    """The file, or the files in the form of KUBECONFIG; at least one of them is there."""
    paths = str(given) if given is not None else os.environ.get("KUBECONFIG") or "~/.kube/config"
    if not any(path and Path(path).expanduser().is_file() for path in paths.split(os.pathsep)):
        raise KubeconfigUnusable(paths, "there is no such file; give --kubeconfig, or set KUBECONFIG")
    return paths

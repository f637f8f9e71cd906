"""A model that never enters the cluster: its owner shares it from outside, with the rights that the docs ask for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.e2e.cluster.places import PROJECT
from tests.e2e.securemodels import DIGITS, Models, plain_answers
from triveni.client.cluster import Target, apply_model, delete_model, end_epoch, reach_to_share
from triveni.client.cluster.errors import SharedAlready
from triveni.sharing.hand_over import hand_over
from triveni.sharing.keras_file import read_model
from triveni.sharing.shares import split_model
from triveni.sharing.worker_link import Address

SPEC: dict[str, Any] = {"model": {"source": {"owner": {}}}, "requestQuota": 20}

WITHIN_S = 180.0


@pytest.fixture
def owner(models: Models, tmp_path: Path) -> Target:
    """Somebody with the Role of docs/science/owners.md and nothing else."""
    namespace = models.kubectl.namespace
    (role,) = [
        document
        for block in (PROJECT / "docs/science/owners.md").read_text().split("```yaml\n")[1:]
        if (document := yaml.safe_load(block.partition("```")[0])).get("metadata", {}).get("name") == "mnist-owner"
    ]
    role["metadata"]["namespace"] = namespace
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "owner"}}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "owner"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "mnist-owner"},
        "subjects": [{"kind": "ServiceAccount", "name": "owner", "namespace": namespace}],
    }
    models.kubectl.apply(role, account, binding)
    config = yaml.safe_load(models.kubectl.kubeconfig.read_text())
    token = models.kubectl("create", "token", "owner").strip()
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    return Target("mnist", namespace, kubeconfig=file)


async def share(owner: Target) -> int:
    """Share the example as a notebook does; in which epoch."""
    model = read_model(PROJECT / "examples/mnist/model.keras")
    async with reach_to_share(owner, within=WITHIN_S) as entrance:
        shares = split_model(model, entrance.protocol)
        addresses = [Address(host, port) for host, port in entrance.workers]
        who = entrance.identity
        await hand_over(
            shares, entrance.protocol, addresses, entrance.credentials, who, WITHIN_S, lambda step, details: None
        )
        return entrance.epoch


def test_an_owner_shares_a_model_that_is_nowhere_in_the_cluster_and_again_after_a_lost_worker(
    models: Models, owner: Target
) -> None:
    asyncio.run(apply_model(owner, SPEC))
    models.until("Shared", "False", "WaitingForOwner")
    assert not models.kubectl.exists("secret", "mnist-owner"), "nobody can share before the owner says so"

    assert asyncio.run(share(owner)) == 1
    models.until_ready()
    assert np.abs(np.array(models.predict()) - plain_answers()).max() < 1e-3
    assert not models.kubectl.exists("jobs")
    assert not [name for name in models.objects() if name.endswith("sharing")]

    with pytest.raises(SharedAlready):
        asyncio.run(share(owner))

    models.kubectl("delete", "pod", "mnist-e1-worker-1")
    models.until("Shared", "False", "WaitingForOwner")
    assert "again" in models.condition("Shared")["message"]
    assert asyncio.run(share(owner)) == 2
    status = models.until_ready(epoch=2)
    assert status["quota"]["charged"] == 3
    models.predict(images=DIGITS[:1])


def test_an_owner_who_wants_to_share_anew_ends_the_epoch_and_in_the_end_deletes_the_model(
    models: Models, owner: Target
) -> None:
    asyncio.run(apply_model(owner, SPEC))
    asyncio.run(share(owner))
    models.until_ready()
    asyncio.run(end_epoch(owner))
    assert asyncio.run(share(owner)) == 2
    models.until_ready(epoch=2)
    assert asyncio.run(delete_model(owner))
    models.until_gone()

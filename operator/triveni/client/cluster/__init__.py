"""Reaching the workers of a SecureModel from outside its cluster, by nothing but a kubeconfig.

    async with reach(Target("mnist", namespace="team-a")) as connection, AsyncClient(connection) as client:
        logits = await client.predict(images)

An owner who shares the model from here (`spec.model.source.owner`) gets there the same way: `reach_to_share` leads to
workers that wait for their shares.

The client's credentials come from the Secret that RBAC guards, the connections through the API server's port-forward.
The API server sees TLS records only: they end in the client and in the workers, as they always do.
"""

from triveni.client.cluster.access import Target
from triveni.client.cluster.entrance import Entrance, reach_to_share
from triveni.client.cluster.owner import apply_model, delete_model, end_epoch
from triveni.client.cluster.reach import look, reach

__all__ = ["Entrance", "Target", "apply_model", "delete_model", "end_epoch", "look", "reach", "reach_to_share"]

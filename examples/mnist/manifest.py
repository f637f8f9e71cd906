"""Writes examples/mnist.yaml from examples/mnist/model.keras: the manifest that kubectl and `triveni run` both take.

The text is a template rather than dumped YAML, because its comments are half of what it is for.
"""

import base64
import hashlib
import textwrap
from pathlib import Path

HERE = Path(__file__).parent
MODEL = HERE / "model.keras"
MANIFEST = HERE.parent / "mnist.yaml"

TEMPLATE = """\
# A model served in secret. On Kubernetes: kubectl apply -f mnist.yaml; on this machine: triveni run mnist.yaml
# Written by examples/mnist/manifest.py; change it there.

apiVersion: triveni.dev/v1alpha1
kind: SecureModel
metadata:
  # Clients ask for the model by this name.
  name: mnist
spec:
  model:
    # Where the plain model is. Only the sharing job ever reads it: it splits the weights, hands each of the three
    # workers its share, which means nothing alone, and ends.
    source:
      configMap:
        name: mnist-model
        key: model.keras
    # The model that you mean and no other: the sharing job refuses a file with another SHA-256.
    digest: "sha256:{digest}"
    # What every pixel is within. The sharing job bounds all values on the way to an answer for such inputs, and refuses
    # a model of which one may be too large for the protocol; clients refuse to send anything else.
    inputRange:
      min: 0
      max: 1
  # How the three workers compute on shares: three-party replicated secret sharing (Mohassel and Rindal, 2018).
  protocol: ABY3
  # How many predictions are answered, in all; each row of a batch counts as one. Then the workers erase their shares
  # and end. Raise it and apply again to serve on.
  requestQuota: 3
---
# The trained model itself, a Keras file. A ConfigMap carries up to 1 MiB and can be read by whoever may read the
# namespace: right for an example, too open for weights that are worth hiding.
apiVersion: v1
kind: ConfigMap
metadata:
  name: mnist-model
binaryData:
  model.keras: |
{model}
"""


def main() -> None:
    """Writes the manifest; the same model gives the same text."""
    content = MODEL.read_bytes()
    lines = textwrap.wrap(base64.b64encode(content).decode(), 116)
    MANIFEST.write_text(
        TEMPLATE.format(
            digest=hashlib.sha256(content).hexdigest(),
            model="\n".join(f"    {line}" for line in lines),
        )
    )


if __name__ == "__main__":
    main()

"""`helm test`: asks three workers for predictions, and compares them with what plain Keras says.

    python predict.py CONNECTION EXPECTED SECONDS

Exit code 0 if they agree, 1 if not or if there is no answer.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from triveni.client import Client, ClientError, Connection


def main(arguments: Sequence[str]) -> int:
    """Predict all rows at once, which the request quota of the test's SecureModel is made for."""
    path, expected, seconds = arguments
    case = json.loads(Path(expected).read_text())
    connection = Connection.read(path)
    try:
        with Client(connection, deadline=float(seconds)) as client:
            answers = client.predict(case["inputs"])
    except ClientError as error:
        events = f"kubectl -n {connection.namespace} get events --field-selector involvedObject.name={connection.name}"
        return say(f"no prediction: {error}\nwhat became of the SecureModel: {events}", 1)
    outputs = np.asarray(case["outputs"])
    if answers.shape != outputs.shape:
        return say(f"answers of shape {answers.shape} came, {outputs.shape} is what the model gives", 1)
    worst = float(np.abs(answers - outputs).max())
    if not worst <= case["tolerance"]:
        return say(f"an answer is off by {worst:.6f}; {case['tolerance']} is allowed", 1)
    return say(f"{len(answers)} predictions, none off by more than {worst:.6f} from plain Keras", 0)


def say(text: str, code: int) -> int:
    """Write a line; the exit code."""
    sys.stdout.write(f"{text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The client: asks three workers for predictions that none of them can read.

    with Client(Connection.read("connection.json")) as client:
        logits = client.predict(images)

It splits each input, sends one share to each worker, checks and joins what comes back. It needs no TensorFlow.
"""

from triveni.client.connection import Connection
from triveni.client.errors import (
    AnswersDisagree,
    ClientError,
    DeadlineExceeded,
    InvalidConnection,
    ModelChanged,
    QuotaReached,
    RequestRefused,
    WorkersDisagree,
    WorkersUnreachable,
    WrongAnswer,
    WrongInput,
    WrongWorker,
)
from triveni.client.predict import AsyncClient
from triveni.client.sync import Client

__all__ = [
    "AnswersDisagree",
    "AsyncClient",
    "Client",
    "ClientError",
    "Connection",
    "DeadlineExceeded",
    "InvalidConnection",
    "ModelChanged",
    "QuotaReached",
    "RequestRefused",
    "WorkersDisagree",
    "WorkersUnreachable",
    "WrongAnswer",
    "WrongInput",
    "WrongWorker",
]

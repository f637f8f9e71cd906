"""``python -m triveni.sharing``: one model, three workers, one report, exit code 0 or 1."""

from __future__ import annotations

import asyncio
import resource
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from cryptography import x509

from triveni.api import termination
from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity, InvalidIdentity, Role
from triveni.identity.tls import InvalidCredentials, client_context
from triveni.mpc.ranges import power
from triveni.sharing.arguments import Arguments, FilePlace, PairPlace, S3Place, UrlPlace, parse
from triveni.sharing.content import read_file
from triveni.sharing.download import Remote, download
from triveni.sharing.failures import CredentialsUnreadable, Interrupted, SharingFailure
from triveni.sharing.hand_over import Shared, hand_over
from triveni.sharing.keras_file import KerasModel, parse_model, parse_pair
from triveni.sharing.rehearsal import rehearse
from triveni.sharing.s3 import Bucket, read_keys, s3_object
from triveni.sharing.shares import ModelShares, split_model
from triveni.sharing.steps import Steps

T = TypeVar("T")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job; 0 if every worker has its share, 1 if not, 2 for wrong arguments."""
    arguments = parse(argv)
    steps = Steps()
    # Plain weights must not reach a disk by way of a crash, and a pod is stopped by SIGTERM as a terminal by Ctrl-C.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    failure: SharingFailure | None = None
    report: dict[str, Any] = {"reason": "Shared", "message": "every worker has its share"}
    try:
        report["program_digest"] = _share(arguments, steps).program_digest
    except SharingFailure as error:
        failure = error
    except KeyboardInterrupt:
        failure = Interrupted()
    termination.write(arguments.report, {**(failure.report() if failure else report), "seconds": steps.seconds})
    if failure is None:
        return 0
    sys.stderr.write(f"{failure.reason}: {failure}\n")
    return 1


def _share(arguments: Arguments, steps: Steps) -> Shared:
    def left() -> float:
        return max(arguments.timeout - steps.seconds, 0.0)

    credentials, me = _credentials(arguments.credentials)
    model = _model(arguments, left(), steps).answering(arguments.answer_bits)
    steps.done("read", {"layers": len(model.architecture.layers)})
    shares = split_model(model, arguments.protocol, arguments.inputs)
    del model
    steps.done("split", {"values": _fit(shares)})
    work = hand_over(shares, arguments.protocol, arguments.workers, credentials, me, left(), steps.done)
    return asyncio.run(_stoppable(work))


def _fit(shares: ModelShares) -> str:
    """What is known about the values on the way to an answer, for the log."""
    if shares.inputs is None or shares.ranges is None:
        return "no range of inputs is given (spec.model.inputRange): nothing is known about whether all values fit"
    narrowest = shares.ranges.narrowest
    fit = f"at most {power(narrowest.bound)} of {power(narrowest.below)} in layer '{narrowest.layer}'"
    return f"all fit for inputs from {shares.inputs}: {fit}"


def _model(arguments: Arguments, within: float, steps: Steps) -> KerasModel:
    """The model, wherever it is; its bytes are not kept."""
    place = arguments.place
    if isinstance(place, PairPlace):
        layers, weights = read_file(place.layers), read_file(place.weights)
        steps.done("fetched", {"bytes": layers.size + weights.size})
        pair = (layers.checked(None), weights.checked(None), layers.words, weights.words)
        return _rehearsed(lambda: parse_pair(*pair), weights.words)
    if isinstance(place, FilePlace):
        content = read_file(place.path, arguments.words)
    else:
        content = asyncio.run(_stoppable(download(_remote(place, arguments.words), within, steps)))
    steps.done("fetched", {"bytes": content.size})
    data = content.checked(arguments.digest)
    return _rehearsed(lambda: parse_model(data, content.words), content.words)


def _rehearsed(read: Callable[[], T], source: str) -> T:
    rehearse(read, source)
    return read()


def _remote(place: UrlPlace | S3Place, words: str | None) -> Remote:
    if isinstance(place, UrlPlace):
        return Remote(words or place.url.partition("?")[0], place.url, place.authorities)
    words = words or f"object '{place.key}' of bucket '{place.bucket}' at {place.endpoint}"
    bucket = Bucket(place.endpoint, place.bucket, place.region)
    return s3_object(bucket, place.key, read_keys(place.credentials, words), place.authorities, words)


async def _stoppable(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` so that a signal cancels it, and its connections are closed before the process ends."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError as error:
        raise Interrupted from error


def _credentials(directory: Path) -> tuple[Credentials, Identity]:
    """The job's credentials, and the identity that its certificate names."""
    try:
        credentials = Credentials.read(directory)
        certificate = x509.load_pem_x509_certificate(credentials.certificate)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
        me = Identity.parse(uri)
        client_context(credentials)  # a key that does not belong to the certificate is found here
    except OSError as error:
        raise CredentialsUnreadable(str(directory), error.strerror or type(error).__name__) from error
    except (InvalidCredentials, InvalidIdentity) as error:
        raise CredentialsUnreadable(str(directory), str(error)) from error
    except (ValueError, x509.ExtensionNotFound) as error:
        raise CredentialsUnreadable(str(directory), "the certificate is damaged or names nobody") from error
    if me.role is not Role.SHARING:
        raise CredentialsUnreadable(str(directory), f"they are those of {me}, not of a sharing job")
    return credentials, me


if __name__ == "__main__":
    sys.exit(main())

"""``python -m triveni.sharing``: one model, three workers, one report, exit code 0 or 1."""

from __future__ import annotations

import argparse
import asyncio
import resource
import signal
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509

from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity, InvalidIdentity, Role
from triveni.identity.tls import InvalidCredentials, client_context
from triveni.sharing.failures import CredentialsUnreadable, Interrupted, SharingFailure
from triveni.sharing.hand_over import Shared, hand_over
from triveni.sharing.keras_file import read_model
from triveni.sharing.report import Steps, write_report
from triveni.sharing.shares import split_model
from triveni.sharing.worker_link import Address


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job; 0 if every worker has its share, 1 if not, 2 for wrong arguments."""
    arguments = _arguments(argv)
    steps = Steps()
    # Plain weights must not reach a disk by way of a crash, and a pod is stopped by SIGTERM as a terminal by Ctrl-C.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        shared = _share(arguments, steps)
        report = {"reason": "Shared", "message": "every worker has its share", "program_digest": shared.program_digest}
    except SharingFailure as failure:
        report = {"reason": failure.reason, "message": str(failure)}
    except KeyboardInterrupt:
        report = {"reason": Interrupted.reason, "message": str(Interrupted())}
    write_report(arguments.report, {**report, "seconds": steps.seconds})
    if report["reason"] == "Shared":
        return 0
    sys.stderr.write(f"{report['reason']}: {report['message']}\n")
    return 1


def _share(arguments: argparse.Namespace, steps: Steps) -> Shared:
    credentials, me = _credentials(arguments.credentials)
    model = read_model(arguments.model, arguments.digest)
    steps.done("read", {"layers": len(model.architecture.layers)})
    shares = split_model(model)
    del model
    steps.done("split", {})
    left = max(arguments.timeout - steps.seconds, 0.0)
    work = hand_over(shares, arguments.protocol, arguments.worker, credentials, me, left, steps.done)
    return asyncio.run(_stoppable(work))


async def _stoppable(work: Coroutine[Any, Any, Shared]) -> Shared:
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


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "triveni.sharing", description="Split a Keras model's weights among three workers."
    )
    parser.add_argument("--model", type=Path, required=True, metavar="FILE", help="a .keras file of Keras 3")
    parser.add_argument("--digest", metavar="sha256:HEX", help="refuse any other file")
    parser.add_argument("--protocol", default="ABY3", help="what the workers compile for (%(default)s)")
    parser.add_argument("--credentials", type=Path, required=True, metavar="DIR", help="tls.crt, tls.key and ca.crt")
    parser.add_argument(
        "--worker",
        type=Address.parse,
        action="append",
        required=True,
        metavar="HOST:PORT",
        help="three times, in order",
    )
    parser.add_argument("--report", type=Path, required=True, metavar="FILE", help="where the JSON report goes")
    parser.add_argument(
        "--timeout", type=float, default=600.0, metavar="S", help="seconds for everything (%(default)s)"
    )
    arguments = parser.parse_args(argv)
    if len(arguments.worker) != 3:
        parser.error(f"--worker is needed three times, got {len(arguments.worker)}")
    if not 0 < arguments.timeout < float("inf"):
        parser.error("--timeout must be more than 0 seconds")
    return arguments


if __name__ == "__main__":
    sys.exit(main())

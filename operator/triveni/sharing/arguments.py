"""What the sharing job is told on its command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from triveni.mpc.architecture import MAX_ANSWER_BITS
from triveni.mpc.input_range import InputRange
from triveni.sharing.worker_link import Address


@dataclass(frozen=True, slots=True)
class FilePlace:
    """The model is a file of this machine, or of a volume that is mounted."""

    path: Path


@dataclass(frozen=True, slots=True)
class PairPlace:
    """The model is two files: its layers as JSON and its weights as HDF5."""

    layers: Path
    weights: Path


@dataclass(frozen=True, slots=True, repr=False)
class UrlPlace:
    """The model is on a web server."""

    url: str
    authorities: Path | None


@dataclass(frozen=True, slots=True)
class S3Place:
    """The model is in a store; `credentials` is a directory with the keys for it."""

    endpoint: str
    bucket: str
    key: str
    region: str
    credentials: Path
    authorities: Path | None


Place = FilePlace | PairPlace | UrlPlace | S3Place


@dataclass(frozen=True, slots=True)
class Arguments:
    """All of it. `words` say in messages where the model is; None: as it is written in `place`.

    `answer_bits` is how many fractional bits of an answer clients are given; None: all.
    """

    place: Place
    words: str | None
    digest: str | None
    protocol: str
    answer_bits: int | None
    inputs: InputRange | None
    credentials: Path
    workers: Sequence[Address]
    report: Path
    timeout: float


def parse(argv: Sequence[str] | None) -> Arguments:
    """Read a command line; SystemExit with code 2 if it is wrong."""
    parser = _parser()
    found = parser.parse_args(argv)
    if len(found.worker) != 3:
        parser.error(f"--worker is needed three times, got {len(found.worker)}")
    if not 0 < found.timeout < float("inf"):
        parser.error("--timeout must be more than 0 seconds")
    return Arguments(
        _place(parser, found),
        found.model_source,
        found.digest,
        found.protocol,
        found.answer_fractional_bits,
        found.input_range,
        found.credentials,
        tuple(found.worker),
        found.report,
        found.timeout,
    )


def _place(parser: argparse.ArgumentParser, found: argparse.Namespace) -> Place:
    store = {"bucket": found.s3_bucket, "key": found.s3_key, "credentials": found.s3_credentials}
    if found.s3_endpoint is None and any(store.values()):
        parser.error("--s3-endpoint is needed with the other --s3 options")
    if found.ca_bundle and found.model:
        parser.error("--ca-bundle is for --model-url and --s3-endpoint")
    if found.weights and (not found.model or found.digest):
        parser.error("--weights goes with --model, and without --digest, which is of one file")
    if found.weights:
        return PairPlace(found.model, found.weights)
    if found.model:
        return FilePlace(found.model)
    if found.model_url:
        return UrlPlace(_url(parser, "--model-url", found.model_url), found.ca_bundle)
    if lacking := [name for name, value in store.items() if not value]:
        parser.error(f"--s3-endpoint needs --s3-{lacking[0]}")
    endpoint = _url(parser, "--s3-endpoint", found.s3_endpoint).rstrip("/")
    return S3Place(endpoint=endpoint, **store, region=found.s3_region, authorities=found.ca_bundle)


def _url(parser: argparse.ArgumentParser, option: str, text: str) -> str:
    if not text.lower().startswith(("http://", "https://")):
        parser.error(f"{option} must begin with https:// or http://")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "triveni.sharing", description="Split a Keras model's weights among three workers."
    )
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--model", type=Path, metavar="FILE", help="a model file of Keras")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="its weights, if --model is JSON of its layers")
    place.add_argument("--model-url", metavar="URL", help="the same, fetched from a web server")
    place.add_argument("--s3-endpoint", metavar="URL", help="the same, fetched from an S3-compatible store")
    parser.add_argument("--s3-bucket", metavar="NAME", help="its bucket")
    parser.add_argument("--s3-key", metavar="KEY", help="its key in the bucket")
    parser.add_argument("--s3-region", default="us-east-1", metavar="NAME", help="to sign for (%(default)s)")
    parser.add_argument(
        "--s3-credentials", type=Path, metavar="DIR", help="accessKeyId, secretAccessKey and perhaps sessionToken"
    )
    parser.add_argument(
        "--ca-bundle", type=Path, metavar="FILE", help="authorities of the server's certificate (the public ones)"
    )
    parser.add_argument("--model-source", metavar="TEXT", help="where the model is, in words for messages")
    parser.add_argument("--digest", metavar="sha256:HEX", help="refuse any other file")
    parser.add_argument("--protocol", default="ABY3", help="what the workers compile for (%(default)s)")
    parser.add_argument(
        "--answer-fractional-bits",
        type=int,
        choices=range(MAX_ANSWER_BITS + 1),
        metavar="N",
        help=f"how many clients are given of each value of an answer, 0 to {MAX_ANSWER_BITS} (all)",
    )
    parser.add_argument(
        "--input-range",
        type=InputRange.parse,
        metavar="MIN,MAX",
        help="what all inputs are within: refuse the model if a value may not fit",
    )
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
    return parser

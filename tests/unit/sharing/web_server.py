"""A web server of this process, with or without TLS, that answers as it is told; and a store that checks who asks."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(answer: Answer, certificate: Path | None = None) -> AsyncIterator[str]:
    """The base address of a server that gives every request to `answer`; with TLS if it has a certificate."""
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    server = web.Server(answer, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=0.01)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        scheme = "https" if context else "http"
        yield f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def self_signed(directory: Path) -> Path:
    """A certificate for 127.0.0.1 that is its own authority; its key lies beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    hosts = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(hosts, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / "server.crt"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.with_suffix(".key").write_bytes(pem)
    return path


def store(objects: Mapping[str, bytes], key_id: str, secret: str, token: str | None = None) -> Answer:
    """Answers as an S3 store: `objects` by their raw paths, for requests that are signed with this key."""

    async def answer(request: web.Request) -> web.StreamResponse:
        code = _complaint(request, key_id, secret, token)
        if code is None and request.raw_path in objects:
            return web.Response(body=objects[request.raw_path])
        status, code = (404, "NoSuchKey") if code is None else (403, code)
        return web.Response(status=status, text=f"<Error><Code>{code}</Code></Error>", content_type="application/xml")

    return answer


def _complaint(request: web.Request, key_id: str, secret: str, token: str | None) -> str | None:
    """What is wrong with the signature of a request as it came in; written from its specification, not from ours."""
    method, _, fields = request.headers["Authorization"].partition(" ")
    values = dict(field.strip().split("=", 1) for field in fields.split(","))
    claimed, date, region, service, end = values["Credential"].split("/")
    if (method, service, end) != ("AWS4-HMAC-SHA256", "s3", "aws4_request") or claimed != key_id:
        return "InvalidAccessKeyId"
    if request.headers.get("X-Amz-Security-Token") != token:
        return "InvalidToken"
    signed = values["SignedHeaders"].split(";")
    if not {"host", "x-amz-content-sha256", "x-amz-date"} <= set(signed) or signed != sorted(signed):
        return "AccessDenied"
    lines = [request.method, request.raw_path, ""]
    lines += [f"{name}:{' '.join(request.headers[name].split())}" for name in signed]
    lines += ["", ";".join(signed), hashlib.sha256(b"").hexdigest()]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    scope = f"{date}/{region}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{request.headers['X-Amz-Date']}\n{scope}\n{digest}"
    key = f"AWS4{secret}".encode()
    for part in (date, region, "s3", "aws4_request", text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return None if hmac.compare_digest(key.hex(), values["Signature"]) else "SignatureDoesNotMatch"

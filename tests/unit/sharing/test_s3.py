"""An object from an S3-compatible store: signed as the specification says, for whatever its key is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web

from tests.unit.sharing.test_download import download
from tests.unit.sharing.web_server import serving, store
from triveni.sharing.failures import SourceNotFound, SourceRefused
from triveni.sharing.s3 import Bucket, Keys, read_keys, s3_object, signed

MODEL = b"PK\x03\x04 model"

KEYS = Keys("AKIAEXAMPLE", "s3cr3t/key+")

AMAZONS = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")

WORDS = "spec.model.source.s3"


def test_the_example_of_the_specification_is_signed_as_it_says() -> None:
    moment = datetime(2013, 5, 24, tzinfo=UTC)
    headers = signed(
        "examplebucket.s3.amazonaws.com", "/test.txt", {"range": "bytes=0-9"}, "us-east-1", AMAZONS, moment
    )
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        " SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
        " Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


@pytest.mark.parametrize(
    ("host", "key", "region", "token", "signature"),
    [
        (
            "minio.storage.svc:9000",
            "models/mnist.keras",
            "us-east-1",
            None,
            "93409cea88dc51957e0d4d54ca62941e3be1226746d086bb0281c61c86c15955",
        ),
        (
            "s3.eu-central-1.amazonaws.com",
            "a b+c/é~(1)&x=y%20.keras",
            "eu-central-1",
            "tok/+=en",
            "d9af171d4d966eaaa7bd24697458aaeff85630406d7c7d9aafa2f987e714f145",
        ),
        (
            "[::1]:9000",
            "a//b/../c.keras",
            "garage",
            None,
            "a96ccd82fd87c5314e00e1f7a52c6d740c40fa9507d4b9fa163cf9b15f6df976",
        ),
    ],
)
def test_signatures_are_those_of_botocore(host: str, key: str, region: str, token: str | None, signature: str) -> None:
    keys = Keys(KEYS.id, KEYS.secret, token)
    path = quote(f"/bucket/{key}", safe="/")
    headers = signed(host, path, {}, region, keys, datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC))
    assert headers["authorization"].endswith(f"Signature={signature}")


@pytest.mark.parametrize("key", ["model.keras", "a b+c/é~(1)&x=y%20.keras", "a//b/../c.keras", "%2e%2e", "~._-!'*"])
@pytest.mark.parametrize("token", [None, "tok/+=en"])
async def test_an_object_is_fetched_whatever_its_key_is(key: str, token: str | None) -> None:
    keys = Keys(KEYS.id, KEYS.secret, token)
    path = quote(f"/models/{key}", safe="/")
    async with serving(store({path: MODEL}, keys.id, keys.secret, token)) as base:
        got = await download(s3_object(Bucket(base, "models", "us-east-1"), key, keys, None, WORDS), 10)
    assert got.checked(None) == MODEL


async def test_an_object_that_is_not_there_is_named_by_the_stores_own_word() -> None:
    async with serving(store({}, KEYS.id, KEYS.secret)) as base:
        with pytest.raises(SourceNotFound, match=f"^{WORDS}: the server answers 404 NoSuchKey$"):
            await download(s3_object(Bucket(base, "models", "us-east-1"), "m", KEYS, None, WORDS), 10)


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        (Keys("AKIAOTHER", KEYS.secret), "InvalidAccessKeyId"),
        (Keys(KEYS.id, "other"), "SignatureDoesNotMatch"),
        (Keys(KEYS.id, KEYS.secret, "token"), "InvalidToken"),
    ],
)
async def test_wrong_keys_are_refused_with_the_way_out(keys: Keys, code: str) -> None:
    async with serving(store({"/models/m": MODEL}, KEYS.id, KEYS.secret)) as base:
        with pytest.raises(SourceRefused, match=f"403 {code}; check bucket, region and credentialsSecret") as caught:
            await download(s3_object(Bucket(base, "models", "us-east-1"), "m", keys, None, WORDS), 10)
    assert keys.secret not in str(caught.value)


async def test_a_redirect_of_a_store_is_not_followed() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        text = "<Error><Code>PermanentRedirect</Code></Error>"
        return web.Response(status=301, text=text, headers={"Location": "https://elsewhere.invalid/"})

    async with serving(answer) as base:
        with pytest.raises(SourceRefused, match="301 PermanentRedirect; check bucket, region"):
            await download(s3_object(Bucket(base, "models", "us-east-1"), "m", KEYS, None, WORDS), 10)


def test_a_port_that_goes_without_saying_is_not_said() -> None:
    remote = s3_object(Bucket("https://s3.example.com:443", "models", "us-east-1"), "m", KEYS, None, WORDS)
    assert remote.url == "https://s3.example.com/models/m"
    assert remote.headers()["host"] == "s3.example.com"


def test_keys_are_read_from_a_mounted_secret(tmp_path: Path) -> None:
    (tmp_path / "accessKeyId").write_text("AKIAEXAMPLE\n")
    (tmp_path / "secretAccessKey").write_text("s3cr3t/key+")
    keys = read_keys(tmp_path, WORDS)
    assert (keys.id, keys.secret, keys.token) == ("AKIAEXAMPLE", "s3cr3t/key+", None)
    (tmp_path / "sessionToken").write_text("token")
    assert read_keys(tmp_path, WORDS).token == "token"
    assert "s3cr3t" not in repr(keys)


@pytest.mark.parametrize("missing", ["accessKeyId", "secretAccessKey"])
def test_a_secret_without_a_key_is_said(tmp_path: Path, missing: str) -> None:
    for name in {"accessKeyId", "secretAccessKey"} - {missing}:
        (tmp_path / name).write_text("key")
    with pytest.raises(SourceRefused, match=f"^{WORDS}: its credentials lack {missing}; put accessKeyId"):
        read_keys(tmp_path, WORDS)


@pytest.mark.parametrize("content", [b"a\nb", b"a b", b"\xff", "ключ".encode()])
def test_what_is_no_key_is_refused_and_not_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secretAccessKey").write_text("key")
    (tmp_path / "accessKeyId").write_bytes(content)
    with pytest.raises(SourceRefused, match=f"^{WORDS}: its accessKeyId cannot be read or is no key; write"):
        read_keys(tmp_path, WORDS)

"""An object in a store that speaks the protocol of Amazon S3: where it is, and who asks.

A GET needs no more of that protocol than its signature (AWS Signature Version 4, one chunk, no query), which is six
hashes over the request. Addresses are of the form ENDPOINT/BUCKET/KEY, which all stores understand.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

from triveni.sharing.download import Remote
from triveni.sharing.failures import SourceRefused

ALGORITHM = "AWS4-HMAC-SHA256"

NO_BODY = hashlib.sha256(b"").hexdigest()

DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """Who asks: an id that is sent, a secret that is not, and a token for keys that last only for a while."""

    id: str
    secret: str
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where objects are."""

    endpoint: str
    name: str
    region: str


def read_keys(directory: Path, words: str) -> Keys:
    """The keys from the files accessKeyId, secretAccessKey and, if there is one, sessionToken.

    Raises:
        SourceRefused: one is missing or cannot be a key; `words` say whose they are.
    """
    names = ("accessKeyId", "secretAccessKey", "sessionToken")
    found = {name: _key(directory / name, words) for name in names}
    for name in names[:2]:
        if not found[name]:
            way_out = "put accessKeyId and secretAccessKey into the Secret that credentialsSecret names"
            raise SourceRefused(words, f"its credentials lack {name}", way_out)
    return Keys(found["accessKeyId"], found["secretAccessKey"], found["sessionToken"] or None)


def _key(file: Path, words: str) -> str:
    try:
        text = file.read_text("ascii").strip()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError):
        text = "\n"
    if not all("!" <= character <= "~" for character in text):
        raise SourceRefused(
            words, f"its {file.name} cannot be read or is no key", "write the key's text into the Secret"
        )
    return text


def s3_object(bucket: Bucket, key: str, keys: Keys, authorities: Path | None, words: str) -> Remote:
    """An object, to be fetched with these keys. It is at one address: a redirect is the sign of a wrong region."""
    parts = urlsplit(bucket.endpoint)
    host = parts.netloc.removesuffix(f":{DEFAULT_PORTS[parts.scheme]}")
    path = "/" + quote(f"{bucket.name}/{key}", safe="/")

    def headers() -> Mapping[str, str]:
        return signed(host, path, {}, bucket.region, keys, datetime.now(UTC))

    way_out = "check bucket, region and credentialsSecret, and that its keys may read the object"
    return Remote(words, f"{parts.scheme}://{host}{path}", authorities, headers, redirects=0, way_out=way_out)


def signed(
    host: str, path: str, headers: Mapping[str, str], region: str, keys: Keys, now: datetime
) -> Mapping[str, str]:
    """The headers of a GET of `path` (encoded) with its signature; `headers` are further ones that it covers."""
    time = now.strftime("%Y%m%dT%H%M%SZ")
    token = {"x-amz-security-token": keys.token} if keys.token else {}
    covered = {**headers, "host": host, "x-amz-content-sha256": NO_BODY, "x-amz-date": time, **token}
    names = ";".join(sorted(covered))
    listed = "".join(f"{name}:{covered[name]}\n" for name in sorted(covered))
    request = "\n".join(("GET", path, "", listed, names, NO_BODY))
    scope = f"{time[:8]}/{region}/s3/aws4_request"
    text = "\n".join((ALGORITHM, time, scope, hashlib.sha256(request.encode()).hexdigest()))
    signature = _hmac(_signing_key(keys.secret, scope), text).hex()
    value = f"{ALGORITHM} Credential={keys.id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**covered, "authorization": value}


def _signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")

"""A model from a real S3-compatible store: whose keys are verified, whose connections break, whose objects change."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.sharing.store import KEY_ID, REGION, SECRET, Store, breaking, running
from tests.unit.sharing.web_server import self_signed
from triveni.sharing.content import Content
from triveni.sharing.download import download
from triveni.sharing.failures import SourceNotFound, SourceRefused, SourceUnreachable
from triveni.sharing.s3 import Bucket, Keys, s3_object

pytestmark = pytest.mark.timeout(1800)  # the store is built when it is needed for the first time

FILE = random.Random(3).randbytes(3_000_000)
OTHER = random.Random(4).randbytes(3_000_000)

KEYS = Keys(KEY_ID, SECRET)


class Told:
    """What a download told of its tries."""

    def __init__(self) -> None:
        self.again: list[tuple[str, int]] = []

    def fetching(self, done: int, total: int | None) -> None:
        assert total == len(FILE)

    def trying_again(self, problem: str, done: int, seconds: float) -> None:
        self.again.append((problem, done))


async def fetched(
    endpoint: str,
    key: str,
    keys: Keys = KEYS,
    *,
    bucket: str = "models",
    region: str = REGION,
    authorities: Path | None = None,
    told: Told | None = None,
) -> Content:
    remote = s3_object(Bucket(endpoint, bucket, region), key, keys, authorities, "the model")
    return await download(remote, 60, told or Told(), (0.0,) * 4)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running(tmp_path_factory.mktemp("store")) as running_store:
        yield running_store


@pytest.mark.parametrize("key", ["m.keras", "deep/er/m.keras", "a b+c&d=é~(1).keras"])
async def test_an_object_is_fetched_by_its_path(store: Store, key: str) -> None:
    store.put(key, FILE)
    assert (await fetched(store.endpoint, key)).checked(None) == FILE


async def test_a_store_with_a_certificate_of_a_private_authority(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    with running(tmp_path / "store", certificate) as store:
        store.put("m.keras", FILE)
        assert (await fetched(store.endpoint, "m.keras", authorities=certificate)).checked(None) == FILE
        with pytest.raises(SourceRefused, match="certificate is not accepted"):
            await fetched(store.endpoint, "m.keras")


async def test_a_download_that_breaks_goes_on_where_it_broke(store: Store) -> None:
    store.put("broken.keras", FILE)
    told = Told()
    async with breaking(store, [1_000_000, 1_500_000]) as endpoint:
        assert (await fetched(endpoint, "broken.keras", told=told)).checked(None) == FILE
    (first, second) = (done for _, done in told.again)
    assert 900_000 < first < 1_000_000
    assert 2_300_000 < second < 2_500_000


async def test_an_object_that_changes_midway_is_fetched_anew(store: Store) -> None:
    """This store does not look at If-Range: it sends the rest of the other object, whose ETag gives it away."""
    store.put("changing.keras", FILE)

    class Changing(Told):
        def trying_again(self, problem: str, done: int, seconds: float) -> None:
            super().trying_again(problem, done, seconds)
            if done:
                store.put("changing.keras", OTHER)

    told = Changing()
    async with breaking(store, [1_000_000]) as endpoint:
        assert (await fetched(endpoint, "changing.keras", told=told)).checked(None) == OTHER
    assert told.again[1:] == [("the server has another file than a moment ago", 0)]


async def test_what_is_not_there_is_said_with_the_stores_word(store: Store) -> None:
    with pytest.raises(SourceNotFound, match="404 NoSuchKey"):
        await fetched(store.endpoint, "none.keras")
    with pytest.raises(SourceNotFound, match="404 NoSuchBucket"):
        await fetched(store.endpoint, "m.keras", bucket="nobodys")


@pytest.mark.parametrize(
    ("keys", "region", "code"),
    [
        (Keys(KEY_ID, SECRET + "x"), REGION, "403 SignatureDoesNotMatch"),
        (KEYS, "us-east-1", "400 AuthorizationHeaderMalformed"),
        (Keys(KEY_ID, SECRET, "a-token-that-it-never-issued"), REGION, "400 InvalidToken"),
    ],
)
async def test_wrong_keys_are_refused_by_the_store_and_not_told(
    store: Store, keys: Keys, region: str, code: str
) -> None:
    store.put("m.keras", FILE)
    with pytest.raises(SourceRefused, match=f"{code}; check bucket, region and credentialsSecret") as caught:
        await fetched(store.endpoint, "m.keras", keys, region=region)
    assert SECRET not in str(caught.value)


async def test_a_store_that_breaks_every_answer_off_is_given_up(store: Store) -> None:
    store.put("m.keras", FILE)
    async with breaking(store, [5000] * 9) as endpoint:
        with pytest.raises(SourceUnreachable, match="the connection broke"):
            await fetched(endpoint, "m.keras")

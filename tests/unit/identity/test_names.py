"""The URI of an identity."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triveni.identity.names import Identity, InvalidIdentity, Role

LABELS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", fullmatch=True)
EPOCHS = st.integers(1, 10**17)
IDENTITIES = st.one_of(
    st.builds(Identity.worker, LABELS, LABELS, EPOCHS, st.integers(0, 2)),
    st.builds(Identity.sharing_job, LABELS, LABELS, EPOCHS),
    st.builds(Identity.of_client, LABELS, LABELS, LABELS),
)


def test_each_role_has_its_own_form() -> None:
    assert Identity.worker("ns", "u-1", 3, 2).uri == "triveni://ns/u-1/epoch/3/worker/2"
    assert Identity.sharing_job("ns", "u-1", 3).uri == "triveni://ns/u-1/epoch/3/sharing"
    assert Identity.of_client("ns", "u-1", "alice").uri == "triveni://ns/u-1/client/alice"


@given(IDENTITIES)
def test_a_uri_reads_back_as_the_identity_it_was_made_from(identity: Identity) -> None:
    assert Identity.parse(identity.uri) == identity


@given(IDENTITIES, IDENTITIES)
def test_two_identities_are_equal_exactly_if_their_uris_are(one: Identity, other: Identity) -> None:
    assert (one == other) == (one.uri == other.uri)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "https://ns/u/epoch/1/worker/0",
        "triveni://ns/u/epoch/1/worker/3",
        "triveni://ns/u/epoch/0/worker/0",
        "triveni://ns/u/epoch/01/worker/0",
        "triveni://ns/u/epoch/1/worker/0/",
        "triveni://ns/u/epoch/1/worker/0\n",
        "triveni://ns/u/epoch/1/sharing/0",
        "triveni://ns/u/epoch/\u0661/sharing",
        "triveni://ns/u/client/",
        "triveni://ns/u/client/a/b",
        "triveni://ns//client/a",
        "triveni://../u/client/a",
        "triveni://ns/u/client/a%2fb",
        "triveni://n s/u/client/a",
    ],
)
def test_whatever_is_not_exactly_a_name_is_refused(uri: str) -> None:
    with pytest.raises(InvalidIdentity):
        Identity.parse(uri)


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("epoch", {"role": Role.WORKER, "party": 0}),
        ("epoch", {"role": Role.WORKER, "party": 0, "epoch": 0}),
        ("epoch", {"role": Role.CLIENT, "client": "a", "epoch": 1}),
        ("party", {"role": Role.WORKER, "epoch": 1}),
        ("party", {"role": Role.WORKER, "epoch": 1, "party": 3}),
        ("party", {"role": Role.SHARING, "epoch": 1, "party": 0}),
        ("client", {"role": Role.CLIENT}),
        ("client", {"role": Role.CLIENT, "client": "a/b"}),
        ("client", {"role": Role.SHARING, "epoch": 1, "client": "a"}),
    ],
)
def test_a_field_that_is_missing_or_belongs_to_another_role_is_named(field: str, arguments: dict) -> None:
    with pytest.raises(InvalidIdentity) as caught:
        Identity("ns", "u", **arguments)
    assert caught.value.field == field

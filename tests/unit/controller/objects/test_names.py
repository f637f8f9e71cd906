"""The labels by which objects are selected."""

from __future__ import annotations

import pytest

from tests.unit.controller.objects.samples import UID, everything, in_cluster, secure_model
from triveni.controller.objects import names
from triveni.controller.objects.names import Component
from triveni.identity.authority import Authority


def selected(model: names.SecureModel, authority: Authority, selector: dict[str, str]) -> list[tuple[str, str]]:
    return [
        (item["kind"], item["metadata"]["name"])
        for epoch in (1, 2)
        for item in everything(model, authority, epoch)
        if item["metadata"]["labels"].items() >= selector.items()
    ]


def test_an_epoch_is_selected_without_what_lives_longer(authority: Authority) -> None:
    model = secure_model()
    assert selected(model, authority, names.selector(model, epoch=2)) == [
        ("Secret", "mnist-e2-worker-0"),
        ("Secret", "mnist-e2-worker-1"),
        ("Secret", "mnist-e2-worker-2"),
        ("Pod", "mnist-e2-worker-0"),
        ("Pod", "mnist-e2-worker-1"),
        ("Pod", "mnist-e2-worker-2"),
        ("Secret", "mnist-e2-sharing"),
        ("Job", "mnist-e2-sharing"),
    ]


def test_one_worker_is_selected(authority: Authority) -> None:
    model = secure_model()
    selector = names.selector(model, Component.WORKER, 1, 2)
    assert selected(model, authority, selector) == [("Secret", "mnist-e1-worker-2"), ("Pod", "mnist-e1-worker-2")]


def test_all_objects_are_selected_by_the_uid_alone(authority: Authority) -> None:
    model = secure_model()
    assert len(selected(model, authority, names.selector(model))) == 2 * len(everything(model, authority))


def test_a_secure_model_made_anew_does_not_find_what_its_predecessor_left(authority: Authority) -> None:
    document = secure_model().model_dump(mode="json", exclude_none=True)
    successor = in_cluster(document, uid="0c6f5d1f-9d0e-4a57-8f21-6f3b1c527a90")
    assert selected(secure_model(), authority, names.selector(successor)) == []


def test_a_selector_is_written_as_the_api_takes_it() -> None:
    text = names.query(names.selector(secure_model(), Component.WORKER, 3, 0))
    assert text == (
        f"triveni.dev/model-uid={UID},app.kubernetes.io/component=worker,triveni.dev/epoch=3,triveni.dev/party=0"
    )


@pytest.mark.parametrize("length", [43, 44, 50])
def test_only_a_name_that_leaves_no_room_is_shortened_and_in_all_epochs_alike(length: int) -> None:
    model = secure_model("m" * length)
    stems = {names.worker(model, epoch, 0).removesuffix(f"-e{epoch}-worker-0") for epoch in (1, 999_999_999)}
    assert len(stems) == 1
    assert (stems == {"m" * length}) == (length == 43)

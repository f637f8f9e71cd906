"""The hook and what it adds, with something that is like Keras as far as Triveni looks."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from triveni.keras import KerasHook, NoSuchProtocol, NotBuilt, NotKeras, NotShared
from triveni.keras.hook import METHODS
from triveni.keras.model import read_live
from triveni.keras.offer import Offer
from triveni.mpc.input_range import InputRange
from triveni.sharing.failures import NotAKerasFile, ValuesDoNotFit
from triveni.sharing.keras_file import read_model

FILE = Path(__file__).parents[3] / "examples" / "mnist" / "model.keras"


class Cluster:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def require_free(self, doing: str) -> None:
        self.told.append(doing)

    def serve(self, offer: Offer, protocol: str, num_requests: int | None) -> None:
        self.offer = offer
        self.told.append((offer.model.architecture, protocol, num_requests))

    def stop_serving(self) -> None:
        self.told.append("stop serving")

    def stop(self) -> None:
        self.told.append("stop")


@pytest.fixture
def keras() -> Any:
    class Model:
        name = "mnist"
        built = True
        saved_to: Path

        def save(self, path: Path) -> None:
            self.saved_to = path
            shutil.copy(FILE, path)

    return SimpleNamespace(Model=Model, __version__="3.12.0", __name__="keras")


def hooked(keras: Any) -> Any:
    KerasHook(keras)
    return keras.Model()


def test_a_hook_is_harmless_twice_and_can_be_taken_away(keras: Any) -> None:
    hook = KerasHook(keras)
    KerasHook(keras)
    assert all(callable(getattr(keras.Model(), method)) for method in METHODS)
    hook.unhook()
    hook.unhook()
    assert not any(hasattr(keras.Model, method) for method in METHODS)


@pytest.mark.parametrize(
    "given", [SimpleNamespace(Model=int, __version__="2.18.0"), SimpleNamespace(__version__="3.1"), "keras"]
)
def test_what_is_not_keras_3_is_refused(given: Any) -> None:
    with pytest.raises(NotKeras, match=r"give tf\.keras"):
        KerasHook(given)


def test_a_model_is_read_as_keras_would_save_it_and_no_file_is_left(keras: Any) -> None:
    model = keras.Model()
    assert read_live(model).architecture == read_model(FILE).architecture
    assert not model.saved_to.parent.exists()


def test_share_serve_and_stop_tell_the_cluster(keras: Any) -> None:
    model, cluster = hooked(keras), Cluster()
    model.share(cluster)
    model.serve(num_requests=3)
    model.share(cluster, protocol="ABY3")
    model.serve()
    model.shutdown_workers()
    architecture = read_model(FILE).architecture
    assert cluster.told == [
        "share model 'mnist'",
        (architecture, "SecureNN", 3),
        "share model 'mnist'",
        (architecture, "ABY3", None),
        "stop serving",
        "stop",
    ]


def test_a_model_may_be_shared_for_answers_of_fewer_bits(keras: Any) -> None:
    model, cluster = hooked(keras), Cluster()
    model.share(cluster, answer_bits=8)
    model.serve()
    assert cluster.told[1] == (replace(read_model(FILE).architecture, answer_bits=8), "SecureNN", None)


@pytest.mark.parametrize("bits", [-1, 17, 8.0, True, "8"])
def test_bits_that_answers_cannot_have_are_refused(keras: Any, bits: Any) -> None:
    with pytest.raises(ValueError, match="a whole number of 0 to 16, or None, is needed"):
        hooked(keras).share(Cluster(), answer_bits=bits)


def test_what_inputs_are_within_is_said_when_a_model_is_shared(keras: Any) -> None:
    model, cluster = hooked(keras), Cluster()
    model.share(cluster, input_range=(0, 1))
    model.serve()
    assert cluster.offer.inputs == InputRange(0.0, 1.0)
    with pytest.raises(ValuesDoNotFit, match="with inputs from -128 to 129, an input may be"):
        model.share(cluster, input_range=(-128, 129))
    for wrong in (1, 0), (0, 0), (0, 1, 2), 1, ("a", "b"), (0, float("nan")):
        with pytest.raises(ValueError, match="two numbers are needed, the smaller one first"):
            model.share(cluster, input_range=wrong)


def test_what_only_a_shared_model_can_do_is_refused_before_and_after(keras: Any) -> None:
    model = hooked(keras)
    with pytest.raises(NotShared, match=r"model\.share\(cluster\)"):
        model.serve(3)
    model.share(Cluster())
    model.stop()
    model.stop()
    for method in (model.serve, model.shutdown_workers):
        with pytest.raises(NotShared):
            method()


def test_a_model_without_weights_is_refused(keras: Any) -> None:
    model = hooked(keras)
    model.built = False
    with pytest.raises(NotBuilt, match=r"keras\.Input"):
        model.share(Cluster())


def test_a_model_that_cannot_be_served_is_refused_by_its_name(keras: Any) -> None:
    model = hooked(keras)
    model.save = lambda path: path.write_bytes(b"something")
    with pytest.raises(NotAKerasFile, match=r"^model 'mnist' "):
        model.share(Cluster())


def test_a_protocol_that_is_not_served_is_refused_with_those_that_are(keras: Any) -> None:
    with pytest.raises(NoSuchProtocol, match="ABY3"):
        hooked(keras).share(Cluster(), protocol="Pond")


@pytest.mark.parametrize("number", [0, -1, 1.5, "3", True])
def test_a_number_of_requests_is_a_whole_number_from_1(keras: Any, number: Any) -> None:
    model = hooked(keras)
    model.share(Cluster())
    with pytest.raises(ValueError, match="num_requests"):
        model.serve(num_requests=number)

"""One SecureModel from `kubectl apply` to its end, on a real cluster."""

from __future__ import annotations

import numpy as np

from tests.e2e.securemodels import DIGITS, Models, mnist, plain_answers


def test_three_digits_are_predicted_as_by_plain_keras_and_then_everything_is_gone(models: Models) -> None:
    models.apply(mnist(requestQuota=3))
    models.until_ready()
    assert models.condition("PartiesIndependent")["status"] == "True"
    assert len({pod["spec"]["nodeName"] for pod in models.pods()}) == 3

    answers = models.predict(images=DIGITS[:3])
    assert np.abs(np.array(answers) - plain_answers(DIGITS[:3])).max() < 1e-3

    models.until("QuotaReached")
    models.until_gone()
    status = models.status()
    assert status["served"] == 3
    assert status["quota"] == {"charged": 3, "remaining": 0}
    assert status["charges"][-1]["ended"] == "QuotaReached"
    assert [receipt["party"] for receipt in status["receipts"]] == [0, 1, 2]
    assert all(receipt["bytesErased"] > 1_000_000 for receipt in status["receipts"])

    fourth = models.try_to_predict()
    assert fourth.returncode == 4
    assert "request quota reached" in fourth.stderr

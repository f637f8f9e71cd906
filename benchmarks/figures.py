"""The figures: what each is, and what it should be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MB = "10^6 bytes"


@dataclass(frozen=True, slots=True)
class Target:
    """The value that a figure should have at most, or at least."""

    value: float
    at_least: bool = False

    def met(self, measured: float) -> bool:
        """Whether `measured` is as it should be."""
        return measured >= self.value if self.at_least else measured <= self.value

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.value:g}"


FIGURES: Mapping[str, str] = {
    "engine_b1_ms": "one row: from the last share's arrival at worker 0 to its answer shares out, median",
    "engine_b1_floor_ms": "the online rounds and bytes of one row replayed with no work between, median",
    "engine_b1_floor_ratio": "the first to the second",
    "client_b1_ms": "one row: from the call of predict to revealed logits, median",
    "client_b1_p90_ms": "the same, 90 of 100",
    "client_b1_floor_ratio": "client to floor",
    "engine_b32_ms_per_image": "32 rows: as above, all rounds, median, divided by 32",
    "engine_b32_floor_ms_per_image": "all rounds and bytes of 32 rows replayed, median, divided by 32",
    "engine_b32_floor_ratio": "the first to the second",
    "client_b32_ms_per_image": "32 rows: as above, divided by 32",
    "images_per_second_16_clients": "16 clients, one row a request, one request after the other each",
    "client_16_p50_ms": "what each of them waits, median",
    "client_16_p90_ms": "the same, 90 of 100",
    "logit_difference_max": "largest difference of a logit from plain floating point, all digits of the example",
    "rounds_b1": "rounds between the request and the answer",
    "rounds_b1_ahead": "rounds before the request",
    "megabytes_b1": f"sent by all three workers for one row, {MB}",
    "megabytes_b1_online": f"of these, between the request and the answer, {MB}",
    "worker_rss_b1_mb": f"peak resident memory of the largest worker after single rows, {MB}",
    "worker_rss_b32_mb": f"the same after batches of 32, {MB}",
    "worker_start_s": "start of three workers until all wait for shares, program cached",
    "share_s": "from there until they serve",
    "engine_cpu_b1_ms": "processor time of one worker's engine thread for one row, mean of the three",
    "worker_cpu_b1_ms": "the same of the whole worker",
    "engine_cpu_b32_ms_per_image": "processor time of one worker's engine thread for 32 rows, divided by 32",
    "worker_cpu_b32_ms_per_image": "the same of the whole worker",
    "compile_s": "a program compiled, nothing cached",
    "compile_rss_mb": f"peak resident memory of the compiler, {MB}",
    "cached_compile_s": "the same program from the cache",
    "prove_s": "its proof",
    "start_to_first_prediction_warm_s": "`triveni run --predict` until the first prediction is told, program cached",
}

TARGETS: Mapping[str, Target] = {
    "engine_b1_ms": Target(8),
    "engine_b1_floor_ratio": Target(2.5),
    "client_b1_ms": Target(12),
    "engine_b32_ms_per_image": Target(2.3),
    "images_per_second_16_clients": Target(350, at_least=True),
    "logit_difference_max": Target(1e-3),
    "rounds_b1": Target(37),
    "megabytes_b1": Target(0.78),
    "megabytes_b1_online": Target(0.55),
    "worker_rss_b1_mb": Target(80),
    "worker_rss_b32_mb": Target(160),
    "worker_start_s": Target(1.5),
    "compile_s": Target(8),
    "compile_rss_mb": Target(700),
    "start_to_first_prediction_warm_s": Target(6),
}

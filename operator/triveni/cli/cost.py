"""What a request costs, and how long it probably takes: a simple model of a program on a network. Pure.

    latency = (rounds + 4) x half a round trip + bytes of the busiest worker / bandwidth + products / speed

It knows nothing of congestion, TCP's slow start, other requests, or the machines that will be used: an estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from triveni.mpc.passes import multiplications
from triveni.mpc.program import PARTIES, Program
from triveni.mpc.schedule import Phase, Schedule

HOPS_AROUND = 4
"""One-way delays beside the rounds: the input to the workers, its arrival told to worker 0, worker 0's order to the
others, the answer to the client. Connections are open already."""

PRODUCTS_PER_S = 4e8
"""Ring products of one worker a second, with all that goes with them: 0.9 ms above the floor for the 0.38 million of
the MNIST example, as measured by `make bench` on the two quiet cores that the README names."""

LONGEST_RTT_S = 1.0
"""Round trips up to here are looked at for the one where another protocol becomes the faster."""


@dataclass(frozen=True, slots=True)
class Network:
    """Between the workers, and between client and workers: round trip in seconds, bits a second of each link."""

    name: str
    rtt_s: float
    bits_per_s: float

    def __str__(self) -> str:
        return f"{self.name}: {self.rtt_s * 1000:g} ms round trip, {self.bits_per_s / 1e6:g} Mbit/s"


LAN = Network("LAN", 0.0005, 1e9)
WAN = Network("WAN", 0.040, 1e8)


@dataclass(frozen=True, slots=True)
class RequestCost:
    """One row by one protocol.

    Attributes:
        protocol: its name.
        rounds: after the input is known.
        total_bytes: of all workers together, without framing.
        online_bytes: of these, those after the input is known.
        busiest_bytes: of these, the most that one worker sends or receives.
        products: ring products of one worker.
    """

    protocol: str
    rounds: int
    total_bytes: int
    online_bytes: int
    busiest_bytes: int
    products: int

    def latency_s(self, network: Network) -> float:
        """The estimate, in seconds."""
        delays = (self.rounds + HOPS_AROUND) * network.rtt_s / 2
        return delays + 8 * self.busiest_bytes / network.bits_per_s + self.products / PRODUCTS_PER_S


def cost_of(program: Program) -> RequestCost:
    """What one row costs."""
    schedule = Schedule(program)
    cost = schedule.cost()
    loads = [0] * (2 * len(PARTIES))  # what each sends, then what each receives
    for message in schedule.messages:
        if message.phase is Phase.ONLINE:
            loads[message.sender] += message.node.nbytes.at(1)
            loads[len(PARTIES) + message.receiver] += message.node.nbytes.at(1)
    return RequestCost(
        program.protocol,
        cost.online_rounds,
        (cost.online_bytes + cost.ahead_bytes).at(1),
        cost.online_bytes.at(1),
        max(loads),
        -(-multiplications(program).at(1) // len(PARTIES)),
    )


def fastest(costs: Sequence[RequestCost], network: Network) -> RequestCost:
    """The one with the least latency; the first of equals."""
    return min(costs, key=lambda cost: cost.latency_s(network))


def changes_at(costs: Sequence[RequestCost], network: Network) -> float | None:
    """The round trip in seconds above which another one than at 0 is the fastest; None if there is none of interest.

    Latency is linear in the round trip, so the first line that crosses the lowest one tells.
    """
    nothing = Network("", 0.0, network.bits_per_s)
    first = fastest(costs, nothing)
    crossings = [
        2 * (cost.latency_s(nothing) - first.latency_s(nothing)) / (first.rounds - cost.rounds)
        for cost in costs
        if cost.rounds < first.rounds
    ]
    nearest = min(crossings, default=None)
    return nearest if nearest is not None and nearest <= LONGEST_RTT_S else None

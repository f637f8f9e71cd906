"""Measures triveni on this machine: ``python -m benchmarks.run`` (`make bench`), ``python -m benchmarks.peers``.

Real processes, mutual TLS on loopback, the MNIST example, weights and inputs secret, every answer checked. Nothing here
is part of the product, and nothing in the product knows of it.
"""

"""Triveni: private inference of Keras models by three workers, none of which can read what it computes."""

__version__ = "0.1.0"

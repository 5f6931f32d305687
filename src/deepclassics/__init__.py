"""The classical neural networks as baselines that run with one command, can be trusted, and can be taken apart."""

__version__ = "0.1.0"

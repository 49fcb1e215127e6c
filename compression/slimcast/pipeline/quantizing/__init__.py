"""The step `quantize`: one file for each of its methods.

A method takes the float network and returns a `Draft`: the network whose answers the artifact should give,
and the graph. What happens in torch (training with few bits) and what happens to the exported graph are both
its own.
"""

from slimcast.pipeline.quantizing.methods import METHODS, QuantizeMethod, epochs_of, run_quantizing

__all__ = ["METHODS", "QuantizeMethod", "epochs_of", "run_quantizing"]

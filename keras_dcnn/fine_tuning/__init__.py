"""Fine-tuning of pretrained networks (§4): what to train, from where, at which rates.

Only what starts from a network that was trained on other data lives here. Each part says what it
does to the network: measure it, read its features, or train it.
"""

from keras_dcnn.fine_tuning.layerwise_optimizer import layerwise_optimizer

__all__ = ["layerwise_optimizer"]

"""Fine-tuning of pretrained networks (§4): what to train, from where, at which rates.

Only what starts from a network that was trained on other data lives here. Each part says what it
does to the network: measure it, read its features, or train it.
"""

__all__: list[str] = []

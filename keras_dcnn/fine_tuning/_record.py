"""What was seen and decided on the way, kept and, if asked for, said."""


class Record:
    """Sentences, in their order; `say` is called with each, or is None."""

    def __init__(self, say=None):
        self.sentences, self._say = [], say

    def add(self, sentence):
        """Keep a sentence, and say it."""
        self.sentences.append(sentence)
        if self._say:
            self._say(sentence)

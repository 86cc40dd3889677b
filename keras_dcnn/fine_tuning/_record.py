"""What was seen and decided on the way, kept and, if asked for, said."""

from keras_dcnn._keras.fitting import print_message


class Record:
    """Sentences, in their order."""

    def __init__(self, verbose):
        self.sentences, self._verbose = [], verbose

    def add(self, sentence):
        """Keep a sentence, and print it."""
        self.sentences.append(sentence)
        if self._verbose:
            print_message(sentence)

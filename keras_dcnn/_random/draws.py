"""Numbers for the draws of a layer: none twice, whichever thread or process asks."""

import hashlib
import multiprocessing
import os
import struct
import threading

import keras

from keras_dcnn._checks import check_seed
from keras_dcnn._random.noise import step_key

_one_at_a_time = threading.Lock()


def _new_lock():
    global _one_at_a_time
    _one_at_a_time = threading.Lock()


if hasattr(os, "register_at_fork"):  # a child must not inherit a lock that is held
    os.register_at_fork(after_in_child=_new_lock)


def as_seed(seed):
    """The whole number that is given, or one that a `keras.random.SeedGenerator` draws; or None."""
    if isinstance(seed, keras.random.SeedGenerator):
        drawn = keras.ops.convert_to_numpy(seed.next()).astype("int64").tobytes()
        return int.from_bytes(hashlib.blake2b(drawn, digest_size=4).digest()) >> 1
    check_seed(seed)
    return None if seed is None else int(seed)


class DrawStream(keras.random.SeedGenerator):
    """Numbers the draws of a layer, so that no two calls get the same number.

    `SeedGenerator.next` reads and then writes: threads that come between see the same state. Here
    the step is one: on TensorFlow, whose tf.data runs calls in parallel, by an operation that reads
    and advances; else under a lock. The state is (seed, count); the processes that
    `multiprocessing` starts, those of a torch DataLoader among them, and the replicas of
    `tf.distribute` have streams of their own.
    """

    def __init__(self, seed, backend=None):
        super().__init__(seed)
        self._on_tensorflow = (backend or keras.backend.backend()) == "tensorflow"
        if self._on_tensorflow:
            import tensorflow as tf

            # What RngReadAndSkip works on: the counter of Philox in two words, and its key.
            state = [0, 0, int(keras.ops.convert_to_numpy(self.state)[0])]
            with tf.init_scope():
                on_keras = keras.backend.backend() == "tensorflow"
                make = keras.Variable if on_keras else tf.Variable
                self.state = make(state, dtype="int64", trainable=False)

    def next_key(self, salt, ops=keras.ops):
        """The key of a new step: two int32 tensors. Streams with another `salt` are others."""
        seed, count = self._next_on_tensorflow() if self._on_tensorflow else self._next_locked()
        return step_key(stream_words(salt, ops.cast(seed, "int32"), ops), count, ops)

    def _next_locked(self):
        with _one_at_a_time:
            state = keras.ops.cast(self.next(), "int32")
        return state[0], state[1]

    def _next_on_tensorflow(self):
        import tensorflow as tf

        variable = self.state.value if isinstance(self.state, keras.Variable) else self.state
        state = tf.raw_ops.RngReadAndSkip(
            resource=variable.handle, alg=1, delta=tf.constant(1, tf.uint64)
        )
        # Philox advances by 256; the count is cut to the 32 bits that a key has.
        count = tf.cast(tf.bitwise.right_shift(state[0], 8), tf.int32)
        replica = tf.distribute.get_replica_context()
        if replica is None or replica.num_replicas_in_sync == 1:
            return state[2], count
        number = tf.cast(replica.replica_id_in_sync_group, tf.int64)
        return state[2] + number * 0x9E3779B9, count


def stream_words(salt, seed, ops=keras.ops):
    """Two int32 that stand for the stream of a seed, a salt and this process."""
    process = multiprocessing.current_process().name  # numbered, as the parent started them
    place = () if process == "MainProcess" else process
    digest = hashlib.blake2b(f"{salt} {place}".encode(), digest_size=8).digest()
    return [ops.bitwise_xor(seed, word) for word in struct.unpack("<2i", digest)]

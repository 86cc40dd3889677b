"""Numbers that layers draw: the noise and the streams of its keys. Pure `keras.ops`."""

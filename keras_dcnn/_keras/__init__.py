"""The only room that touches what is private in Keras, TensorFlow or PyTorch; a file a subject."""

"""The command keras-dcnn; nothing imports it."""

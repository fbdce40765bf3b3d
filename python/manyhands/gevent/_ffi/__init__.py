"""What is left of the layer that other event loops need: the kind of callbacks."""

"""Learned heads and weights over several networks."""

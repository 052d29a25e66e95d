"""Activation maximisation: images made so that a unit, a channel, a class or a layer responds as strongly as it can."""

"""The domain as values and arithmetic: standard library only, no clock, no disk, no logger."""

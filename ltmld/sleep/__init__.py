"""Sleep: the cycle that turns the day's talk into memories, and the stages it is made of."""

"""The composition root: builds everything once, owns the clock, the ids and the one TaskGroup."""

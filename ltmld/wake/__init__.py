"""Wake: recall and injection, and which conversation this is, while the user talks."""

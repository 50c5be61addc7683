"""Dialogues: what clients send in the course of a conversation, and what the ledger then holds."""

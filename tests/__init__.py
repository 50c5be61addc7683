"""Tests of ltmld, one folder a room."""

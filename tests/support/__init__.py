"""What several rooms need to be tested: builders, small fakes, doors to shared data."""

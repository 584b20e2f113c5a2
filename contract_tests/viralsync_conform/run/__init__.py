"""One run against a target: client, checks, journeys, clean-up."""

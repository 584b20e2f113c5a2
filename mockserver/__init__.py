"""A mock of the ViralSync API: jobs as timelines on a virtual clock, one sandbox per API key."""

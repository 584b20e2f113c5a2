"""Jobs as timelines: planning, steps, views, limits, the store."""

"""A conversation in, events out. Knows media and models, not the screen or HTTP."""

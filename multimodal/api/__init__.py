"""The HTTP routes. Knows the desk, not the screen; the only place that imports fastapi."""

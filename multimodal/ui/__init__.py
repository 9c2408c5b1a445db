"""The screen. Knows the desk, not the routes; the only place that imports gradio."""

"""The picture library: files into vectors, words and pictures into what is like them. Knows neither gradio nor HTTP."""

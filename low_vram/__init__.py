"""Fits a Qwen2.5-Omni into the memory that is there. Knows nothing of conversations, the screen or HTTP."""

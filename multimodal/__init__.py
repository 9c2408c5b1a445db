"""Omni Desk: a private multimodal assistant in one process."""

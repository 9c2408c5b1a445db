"""Training of retrieval encoders on captioned pictures."""

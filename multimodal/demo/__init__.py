"""The toy world, and how the bundled demo model is made from it."""

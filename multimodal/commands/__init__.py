"""What can be done from a terminal, without the screen."""

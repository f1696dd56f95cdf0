"""What is useful without a network."""

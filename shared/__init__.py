"""What a camera node and the hub must agree on. Standard library only."""

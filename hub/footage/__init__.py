"""Pictures and films on this machine: found, told apart, read a frame at a time."""

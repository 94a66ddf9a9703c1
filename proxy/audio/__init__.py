"""What the proxy reads out of audio: containers and durations."""

"""The image, built for real and started: `make image`."""

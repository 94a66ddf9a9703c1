"""What the process tells about itself, without ever telling about a patient."""

"""The one HTTP/1.1 client: connections, kept for their caller or opened ahead, and answers as bytes."""

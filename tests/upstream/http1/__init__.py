"""The one HTTP/1.1 client on real sockets: what is kept for whom, what is opened ahead, what an answer is."""

"""HTTP and WebSocket routes beside the pages."""

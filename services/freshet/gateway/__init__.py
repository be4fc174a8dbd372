"""The gateway: events and labels in, predictions out, over HTTP and WebSocket."""

"""The studio's side of the wire: broker, devices, chunk server, live frames, orders."""

"""The web app: pages, the live wall, and the routes beside them."""

"""The pages: title, components, one service call, render."""

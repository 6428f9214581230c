"""The browser's face."""

"""Several domains on one machine."""

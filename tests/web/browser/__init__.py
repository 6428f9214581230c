"""Tests that drive real browsers; as a package, so that its tests share them."""

"""Agents by name with their defaults, how they are made, and the presets of the papers."""

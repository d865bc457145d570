"""The registered environments, one class each; a class's docstring is its page for users."""

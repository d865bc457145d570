"""Controllers for nas_gym's environments, and the runs that drive them."""

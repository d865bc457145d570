"""Data sets by name, from an ``.npz`` or a folder; the fixed split; and batches on the device."""

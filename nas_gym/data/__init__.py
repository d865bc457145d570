"""Data sets by name or from a user's files; the fixed split; and batches on the device.

`load_dataset` gives a `Dataset`: images, labels and the split as NumPy arrays. `DeviceDataset`, of
``nas_gym.data.batches``, holds it on a device for training; torch is imported there and in
``nas_gym.data.augmentation`` alone.
"""

from nas_gym.data.dataset import Dataset, InvalidDataset, resplit
from nas_gym.data.loading import NAMES, data_folder, load_dataset

__all__ = ["NAMES", "Dataset", "InvalidDataset", "data_folder", "load_dataset", "resplit"]

"""Trained models: the folder that stands alone, loading it, and exporting it to other formats.

A model folder holds ``weights.safetensors``, ``architecture.json`` and ``model.json``. `load_model`
gives the module; nothing of a folder is unpickled or run.
"""

from nas_gym.models.folder import load_image_model as load_image_model
from nas_gym.models.folder import load_model as load_model
from nas_gym.models.folder import save_model as save_model
from nas_gym.models.model import InvalidModel as InvalidModel
from nas_gym.models.model import Model as Model
from nas_gym.models.model import ModelFacts as ModelFacts
from nas_gym.models.model import Normalization as Normalization
from nas_gym.models.model import Prediction as Prediction
from nas_gym.models.model import read_images as read_images
from nas_gym.models.model import try_images as try_images
from nas_gym.models.text import TextFacts as TextFacts
from nas_gym.models.text import TextModel as TextModel
from nas_gym.models.training import train_model as train_model
